from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.jobs import NotifyPublishResultJob
from domain.standins.faults import FOR_EVER
from domain.use_cases.digests import AT_ONCE

if TYPE_CHECKING:
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


async def test_running_twice_tells_once(world: World) -> None:
    world.network.faults.set("reject")
    post_id = await world.schedule()
    await world.work()
    async with world.app.units.begin(world.tenant.context) as uow:
        for recipient in (world.tenant.owner_id, world.tenant.author_id):
            await uow.dispatch(
                NotifyPublishResultJob(
                    scheduled_post_id=post_id, recipient_id=recipient, outcome="failed", generation=1
                )
            )
    await world.work()
    assert await world.jobs("NotifyPublishResultJob") == [("completed", 1)] * 4
    assert len(await world.rows("SELECT FROM smm.notifications")) == 2
    assert len(world.mail.state()["messages"]) == 2


async def test_a_lost_answer_of_the_mail_server_leads_to_a_copy_with_the_same_message_id(world: World) -> None:
    world.network.faults.set("reject")
    world.mail.faults.set("drop", calls=2)
    await world.schedule()
    await world.work()
    await world.make_due()
    await world.work()
    messages = world.mail.state()["messages"]
    assert len(messages) == 4
    assert len({message["message_id"] for message in messages}) == 2
    assert {row.status for row in await world.rows("SELECT status FROM smm.email_messages")} == {"sent"}


async def test_an_address_that_is_refused_for_good_is_noted_and_not_tried_again(world: World) -> None:
    world.network.faults.set("reject")
    world.mail.faults.set("reject", calls=2)
    await world.schedule()
    await world.work()
    rows = await world.rows("SELECT status, smtp_code FROM smm.email_messages")
    assert [(row.status, row.smtp_code) for row in rows] == [("bounced", 550)] * 2
    assert await world.jobs("NotifyPublishResultJob") == [("discarded", 1)] * 2
    assert len(await world.rows("SELECT FROM smm.notifications")) == 2


async def test_a_notice_that_dies_leaves_its_mail_pending(world: World) -> None:
    world.network.faults.set("reject")
    world.mail.service.close()
    await world.schedule()
    for _ in range(5):  # the breaker may open on the way, which spends no attempt
        await world.make_due()
        await world.work()
    assert await world.jobs("NotifyPublishResultJob") == [("dead", 3)] * 2
    rows = await world.rows("SELECT status FROM smm.email_messages")
    assert [row.status for row in rows] == ["pending"] * 2


async def test_somebody_who_left_the_organization_is_told_nothing(world: World) -> None:
    world.network.faults.set("reject")
    await world.schedule()
    await world.execute("DELETE FROM smm.memberships WHERE user_id = :user", user=world.tenant.author_id)
    await world.work()
    assert [message["to"] for message in world.mail.state()["messages"]] == [["owner@aurora.example"]]


@pytest.mark.usefixtures("one_hour")
async def test_news_that_are_in_a_mail_that_has_gone_wait_for_nobody(world: World) -> None:
    world.network.faults.set("reject", calls=FOR_EVER)
    for number in range(AT_ONCE + 3):
        await world.schedule(f"refused {number}")
    await world.work()
    await world.execute("UPDATE smm.notifications SET created_at = created_at - interval '2 hours'")
    mine = "FROM pgqueue.jobs WHERE args ->> 'recipient_id' = :id"
    first = f"UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE id = (SELECT min(id) {mine})"
    await world.execute(first, id=str(world.tenant.owner_id))
    await world.work()
    [sent] = await world.rows("SELECT dedupe_key FROM smm.email_messages WHERE dedupe_key LIKE 'mail:digest:%'")
    async with world.queue.lock(sent.dedupe_key, ttl="60s"):
        await world.make_due()
        await world.work()
    assert not await world.rows(f"SELECT {mine}", id=str(world.tenant.owner_id))
