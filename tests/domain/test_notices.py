"""What people are told besides how a publication ended: in the application, and by mail where they have to act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.gateways.failures import AuthExpired
from domain.jobs import CleanupSuspendedOrgsJob
from domain.standins import BlueskyStandIn
from domain.standins.clamd import EICAR
from domain.system import SYSTEM
from domain.use_cases.notices import administrators, give_notice
from domain.use_cases.renewing import end_grant
from domain.use_cases.scheduling import InvalidPost
from tests.domain.endpoints import an_endpoint
from tests.domain.files import an_image, stream
from tests.domain.networks import connect
from tests.domain.paying import SUBSCRIPTION, a_payer, notices, stripe_says

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from tests.domain.world import World

pytestmark = pytest.mark.anyio


def mails(world: World) -> list[tuple[str, str]]:
    """Whom mails went to, and what they are about."""
    return sorted((message["to"][0], message["subject"]) for message in world.mail.state()["messages"])


async def stored(world: World, kind: str) -> Sequence[Row[Any]]:
    return await world.rows("SELECT * FROM smm.notifications WHERE kind = :kind ORDER BY user_id", kind=kind)


async def prefer(world: World, user_id: UUID, kind: str, channel: str, *, enabled: bool) -> None:
    await world.execute(
        "INSERT INTO smm.notification_preferences (user_id, kind, channel, enabled)"
        " VALUES (:user_id, :kind, :channel, :enabled)",
        user_id=user_id,
        kind=kind,
        channel=channel,
        enabled=enabled,
    )


async def an_upload(world: World, content: bytes) -> UUID:
    return await world.app.media.register_upload(
        world.tenant.context, filename="pão.jpg", declared_type="image/jpeg", chunks=stream(content)
    )


async def a_post_with(world: World, media_id: UUID, when: datetime) -> UUID:
    [post_id] = await world.app.publishing.schedule_post(
        world.tenant.context,
        body="com foto",
        scheduled_at=when,
        account_ids=[world.tenant.account_id],
        media_ids=[media_id],
    )
    return post_id


async def test_a_payment_that_failed_and_a_smaller_plan_are_mailed_to_those_who_can_do_something(world: World) -> None:
    await a_payer(world, "past_due")
    assert mails(world) == [("owner@aurora.example", "O pagamento da assinatura falhou")]
    [message] = world.mail.state()["messages"]
    assert "aurora" in message["text"]
    assert (datetime.now(UTC) + timedelta(days=7)).date().isoformat() in message["text"]
    await stripe_says(world, "canceled")
    assert mails(world)[-1] == ("owner@aurora.example", "Sua organização está no plano gratuito")
    await stripe_says(world, "canceled")
    assert len(mails(world)) == 2
    assert await notices(world) == ["subscription_past_due", "plan_downgraded"]


async def test_a_payment_that_came_after_all_is_told_and_not_mailed(world: World) -> None:
    await a_payer(world, "past_due")
    await stripe_says(world, "active")
    assert await notices(world) == ["subscription_past_due", "subscription_recovered"]
    assert len(mails(world)) == 1
    assert world.stripe.state()["subscriptions"] == {SUBSCRIPTION: "active"}


async def test_a_grant_that_ended_is_told_to_those_who_can_connect_it_again(world: World) -> None:
    await an_endpoint(world)
    later = await world.schedule("depois", when=datetime.now(UTC) + timedelta(hours=2))
    world.network.revoke("a-token-nobody-may-see-aurora")
    await world.schedule("agora")
    await world.work()
    assert (await world.account()).status == "needs_reauth"
    assert (await world.post(later)).status == "paused"
    assert ("owner@aurora.example", "Conecte a conta @aurora de novo") in mails(world)
    assert len(await stored(world, "account_needs_reauth")) == 1
    events = {row.type for row in await world.rows("SELECT type FROM smm.webhook_events")}
    assert events == {"account.needs_reauth", "post.failed"}


async def test_a_grant_that_ends_again_is_told_again(world: World) -> None:
    for version in (1, 2):
        async with world.app.units.begin(world.tenant.context) as uow:
            account = await uow.session.get_one(type(await world.account()), world.tenant.account_id)
            account.status, account.token_version = "active", version
            await end_grant(uow, account, "revoked")
            await end_grant(uow, account, "revoked")
    await world.work()
    assert len(mails(world)) == 2


async def test_an_infected_file_takes_its_posts_with_it_at_once(world: World) -> None:
    media_id = await an_upload(world, an_image() + EICAR)
    other = await an_upload(world, an_image())
    waiting = await a_post_with(world, media_id, datetime.now(UTC) + timedelta(hours=2))
    queued = await a_post_with(world, media_id, datetime.now(UTC) + timedelta(seconds=30))
    clean = await a_post_with(world, other, datetime.now(UTC) + timedelta(hours=2))
    await world.work()
    for post_id in (waiting, queued):
        post = await world.post(post_id)
        assert (post.status, post.failure_code) == ("failed", "media_refused")
        assert post.failure_message == "the file pão.jpg is infected"
    assert (await world.post(clean)).status == "scheduled"
    assert len(await stored(world, "media_refused")) == 2  # the uploader and the owner
    assert len(await stored(world, "publish_failed")) == 4
    with pytest.raises(InvalidPost, match="did not pass the scan"):
        await a_post_with(world, media_id, datetime.now(UTC))
    assert world.texts() == []


async def test_a_file_of_no_kind_that_we_take_is_told_as_well(world: World) -> None:
    media_id = await an_upload(world, an_image())
    post_id = await a_post_with(world, media_id, datetime.now(UTC) + timedelta(hours=2))
    await world.execute("UPDATE smm.media SET byte_size = byte_size + 1")
    await world.work()
    assert (await world.post(post_id)).failure_message == "the file pão.jpg is rejected"
    assert len(await stored(world, "media_refused")) == 2


async def test_owners_are_mailed_before_their_organization_is_deleted(world: World) -> None:
    await world.execute(
        "UPDATE smm.organizations SET status = 'suspended', suspension_id = gen_random_uuid(),"
        " suspended_at = now() - interval '31 days' WHERE id = :id",
        id=world.tenant.organization_id,
    )
    await world.run(CleanupSuspendedOrgsJob(), SYSTEM)
    assert mails(world) == [("owner@aurora.example", "A sua organização será apagada")]


async def test_whoever_does_not_want_mails_gets_none_and_whoever_wants_no_notice_sees_none(world: World) -> None:
    await prefer(world, world.tenant.owner_id, "publish_failed", "email", enabled=False)
    await prefer(world, world.tenant.author_id, "publish_failed", "in_app", enabled=False)
    await prefer(world, world.tenant.owner_id, "account_needs_reauth", "email", enabled=False)
    world.network.revoke("a-token-nobody-may-see-aurora")
    await world.schedule()
    await world.work()
    assert [to for to, _ in mails(world)] == ["author@aurora.example"]
    rows = await stored(world, "publish_failed")
    assert {row.user_id: row.read_at is None for row in rows} == {
        world.tenant.owner_id: True,
        world.tenant.author_id: False,
    }
    assert len(await stored(world, "account_needs_reauth")) == 1


async def test_the_same_notice_twice_is_one_mail_and_each_reads_it_in_their_language(world: World) -> None:
    await world.execute("UPDATE smm.users SET locale = 'en' WHERE id = :id", id=world.tenant.owner_id)
    await world.execute("UPDATE smm.memberships SET role = 'admin' WHERE user_id = :id", id=world.tenant.author_id)
    for _ in range(2):
        async with world.app.units.begin(world.tenant.context) as uow:
            people = await administrators(uow)
            await give_notice(uow, people, "account_needs_reauth", key="k", handle="@a\r\nBcc: x@y.example {0} <b>")
        await world.work()
    assert mails(world) == [
        ("author@aurora.example", "Conecte a conta @a Bcc: x@y.example {0} <b> de novo"),
        ("owner@aurora.example", "Please connect @a Bcc: x@y.example {0} <b> again"),
    ]


async def test_a_mail_server_that_is_away_loses_no_notice(world: World) -> None:
    world.mail.service.close()
    async with world.app.units.begin(world.tenant.context) as uow:
        await give_notice(uow, [world.tenant.owner_id], "account_needs_reauth", key="k", handle="@a")
    await world.exhaust()
    assert await world.jobs("NotifyPublishResultJob") == [("dead", 3)]
    assert [row.status for row in await world.rows("SELECT status FROM smm.email_messages")] == ["pending"]
    world.mail.service.open()
    await world.execute("UPDATE smm.users SET locale = 'en'")
    await world.execute("DELETE FROM pgqueue.breakers")
    await world.requeue("NotifyPublishResultJob")
    await world.exhaust()
    assert len(mails(world)) == 1


async def test_a_tokens_end_that_a_renewal_finds_is_told_once(world: World) -> None:
    with BlueskyStandIn() as network:
        on = await connect(world, "bluesky", network)
        network.revoke()
        renew = world.app.publishing.publish_scheduled_post.renew_tokens
        with pytest.raises(AuthExpired):
            await renew(world.tenant.context, on.account_id, seen_version=1)
        await world.work()
    assert mails(world) == [("owner@aurora.example", "Conecte a conta @bluesky de novo")]
