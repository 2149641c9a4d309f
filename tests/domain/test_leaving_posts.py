"""What becomes of posts when somebody leaves for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.domain.test_leaving import KIND, due, leave

if TYPE_CHECKING:
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


async def test_posts_on_what_somebody_connected_end_with_them_and_those_who_stay_are_told(world: World) -> None:
    leaver = world.tenant.author_id
    await world.execute(
        "UPDATE smm.social_accounts SET connected_by = :id WHERE id = :account",
        id=leaver,
        account=world.tenant.account_id,
    )
    post_id = await world.schedule(when=datetime.now(UTC) + timedelta(days=60))
    await world.app.identity.request_account_deletion(world.tenant.context)
    await world.work()
    await due(world)
    post, account = await world.post(post_id), await world.account()
    assert (account.status, account.credentials) == ("revoked", "")
    assert (post.status, post.failure_code) == ("canceled", "account_revoked")
    notices = await world.rows("SELECT user_id, kind, organization_id FROM smm.notifications")
    assert [tuple(row) for row in notices] == [(world.tenant.owner_id, "account_revoked", world.tenant.organization_id)]
    told = [(mail["to"], mail["subject"]) for mail in world.mail.state()["messages"]]
    assert (["owner@aurora.example"], "A conta @aurora foi desconectada") in told
    assert len(told) == 2  # and the leaver, the farewell
    assert await world.jobs(KIND) == [("completed", 1)]


async def test_the_posts_of_an_organization_that_closes_are_canceled_in_slices_and_a_crash_goes_on_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.administration.erasure.SLICE", 2)
    later = datetime.now(UTC) + timedelta(days=60)
    posts = [await world.schedule(when=later) for _ in range(5)]
    await leave(world)
    await world.execute("UPDATE smm.social_accounts SET status = 'revoked'")  # they do not end with their account
    await world.execute(
        """CREATE FUNCTION smm.crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no lights'; END $$"""
    )
    await world.execute(
        f"""CREATE TRIGGER crash BEFORE UPDATE ON smm.scheduled_posts FOR EACH ROW WHEN (new.id = '{posts[3]}')
            EXECUTE FUNCTION smm.crash()"""
    )
    await due(world)
    assert [(await world.post(post_id)).status for post_id in posts] == ["canceled"] * 2 + ["scheduled"] * 3
    await world.execute("DROP FUNCTION smm.crash() CASCADE")
    await world.make_due()
    await world.work()
    assert {(await world.post(post_id)).status for post_id in posts} == {"canceled"}
    assert await world.jobs(KIND) == [("completed", 2)]
