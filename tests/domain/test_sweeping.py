"""Posts that nobody would come back to, and posts whose way is clear again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.events import MediaCleared, SocialAccountReconnected
from domain.jobs import RetryPublishJob
from domain.models import AccountStatus, PostMedia, SocialAccount, new_id, transition
from domain.standins.faults import FOR_EVER
from domain.system import SYSTEM
from domain.use_cases.renewing import end_grant
from pgqueue import Context
from tests.domain.files import an_image
from tests.domain.networks import a_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from domain.events import Event
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


async def test_a_post_in_flight_that_lost_its_job_gets_one_and_is_published(world: World) -> None:
    post_id = await world.schedule()
    await world.execute("DELETE FROM pgqueue.outbox")
    await _a_quarter_passes(world)
    await _sweep(world)
    assert (await world.post(post_id)).status == "published"
    [job] = await _retries(world)
    assert (job.args["cause"], job.args["retry_no"]) == ("sweeper", 1)
    assert (job.organization_id, job.user_id) == (world.tenant.context.organization_id, world.tenant.context.user_id)


async def test_a_post_whose_job_waits_for_hours_is_left_alone(world: World) -> None:
    world.network.faults.set("rate_limit", seconds=7200)
    await world.schedule()
    await world.work()
    await _a_quarter_passes(world)
    await _sweep(world)
    await _sweep(world)
    assert await _retries(world) == []


async def test_what_an_outage_left_unconfirmed_is_looked_for_once(world: World) -> None:
    world.network.faults.set("drop", calls=FOR_EVER)
    post_id = await world.schedule()
    for _ in range(3):
        await world.make_due()
        await world.work()
    assert (await world.post(post_id)).status == "unconfirmed"
    world.network.faults.clear()
    await _a_quarter_passes(world)
    await _sweep(world)
    assert (await world.post(post_id)).status == "published"
    assert world.texts() == ["olá"]
    [job] = await _retries(world)
    assert job.args["cause"] == "reconcile"


@pytest.mark.trap("connecting an account again fires a month of old posts")
@pytest.mark.parametrize(("chosen", "states"), [(True, {"published"}), (False, {"failed"})])
async def test_a_reconnected_account_brings_back_last_day_s_posts_only_where_the_organization_chose_so(
    world: World, *, chosen: bool, states: set[str]
) -> None:
    world.network.faults.set("unauthorized", calls=FOR_EVER)
    lost, old = await world.schedule("lost"), await world.schedule("old")
    await world.work()
    await world.make_due()  # one of the two found the tokens in the other's hands
    await world.work()
    world.network.faults.clear()
    await world.execute(
        "UPDATE smm.scheduled_posts SET scheduled_at = now() - interval '3 days' WHERE id = :id", id=old
    )
    await world.execute("UPDATE smm.organizations SET retry_after_reconnect = :chosen", chosen=chosen)
    await _reconnect(world)
    assert {(await world.post(lost)).status} == states
    assert (await world.post(old)).status == "failed"


async def test_posts_that_waited_for_their_account_go_on_and_those_of_the_past_are_missed(world: World) -> None:
    past, future = await world.schedule("past"), await world.schedule("future")
    await world.execute(
        """UPDATE smm.scheduled_posts SET status = 'scheduled',
               scheduled_at = now() + CASE WHEN id = :past THEN interval '-1 hour' ELSE interval '1 day' END""",
        past=past,
    )
    async with world.app.units.begin(world.tenant.context) as uow:
        account = await uow.session.get_one(SocialAccount, world.tenant.account_id)
        await end_grant(uow, account, "revoked")
    assert [(await world.post(post_id)).status for post_id in (past, future)] == ["paused", "paused"]
    await _reconnect(world)
    assert [(await world.post(post_id)).status for post_id in (past, future)] == ["missed", "scheduled"]
    assert world.texts() == []


@pytest.mark.trap("a grant ends, and all posts of the account are locked at once")
async def test_the_posts_of_an_account_wait_and_go_on_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.use_cases.renewing.SLICE", 2)
    monkeypatch.setattr("domain.use_cases.sweeping.MOST", 2)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    posts = [await world.schedule(when=tomorrow - timedelta(minutes=number)) for number in range(5)]
    async with world.app.units.begin(world.tenant.context) as uow:
        account = await uow.session.get_one(SocialAccount, world.tenant.account_id)
        await end_grant(uow, account, "revoked")
    assert [(await world.post(post_id)).status for post_id in posts] == ["scheduled"] * 3 + ["paused"] * 2
    await world.work()
    assert {(await world.post(post_id)).status for post_id in posts} == {"paused"}
    assert await world.jobs("RetryPublishJob") == [("completed", 1)] * 2
    await _reconnect(world)
    assert {(await world.post(post_id)).status for post_id in posts} == {"scheduled"}
    assert await world.jobs("RetryPublishJob") == [("completed", 1)] * 5


@pytest.mark.trap("an account is given up, and all its posts are locked at once")
async def test_the_posts_of_an_account_that_is_given_up_end_in_slices(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.accounts.giving_up.SLICE", 2)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    posts = [await world.schedule(when=tomorrow - timedelta(minutes=number)) for number in range(4)]
    posts.insert(0, await world.schedule(when=tomorrow + timedelta(days=1)))
    owner = Context(str(world.tenant.organization_id), str(world.tenant.owner_id))
    await world.app.accounts.disconnect_account(owner, world.tenant.account_id)
    assert [(await world.post(post_id)).status for post_id in posts] == ["scheduled"] * 3 + ["canceled"] * 2
    await world.execute(  # the time of one comes before the job that ends it
        "UPDATE smm.scheduled_posts SET scheduled_at = now() WHERE id = :id", id=posts[0]
    )
    async with world.app.units.begin(world.tenant.context) as uow:
        await world.app.publishing.dispatch_due_posts.within(uow)
    await world.work()
    ends = [(post.status, post.failure_code) for post in [await world.post(post_id) for post_id in posts]]
    assert ends == [("failed", "account_revoked")] + [("canceled", "account_revoked")] * 4
    assert await world.jobs("RetryPublishJob") == [("completed", 1)] * 2
    assert world.texts() == []


async def test_a_post_that_failed_for_want_of_a_scan_is_published_when_its_file_is_clean(world: World) -> None:
    content = an_image(size=(8, 8))
    picture = a_picture(world, content)
    picture.scan_status = "pending"
    post_id = await world.schedule()
    post = await world.post(post_id)
    async with world.app.units.begin(world.tenant.context) as uow:
        uow.session.add(picture)
        await uow.session.flush()
        organization_id = world.tenant.organization_id
        uow.session.add(
            PostMedia(organization_id=organization_id, post_id=post.post_id, position=0, media_id=picture.id)
        )
    await world.execute("UPDATE smm.scheduled_posts SET scheduled_at = now() - interval '2 hours'")
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "media_unscanned")
    await world.execute("UPDATE smm.media SET scan_status = 'clean'")
    await world.app.storage.put(picture.storage_key, content)
    await _publish(world, MediaCleared(media_id=picture.id))
    await world.work()
    assert (await world.post(post_id)).status == "published"


async def test_an_organization_with_very_many_due_posts_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.scheduling.BATCH", 4)
    many = [await world.schedule(f"post {number}") for number in range(6)]
    one = await world.schedule("the stranger's", tenant=world.stranger)
    await world.execute("DELETE FROM pgqueue.outbox")
    await world.execute("UPDATE smm.scheduled_posts SET status = 'scheduled', dispatched_at = NULL")
    async with world.app.units.begin(world.tenant.context) as uow:
        assert await world.app.publishing.dispatch_due_posts.within(uow) == 4
    dispatched = [post_id for post_id in [*many, one] if (await world.post(post_id)).status == "dispatched"]
    assert dispatched == [*many[:3], one]


async def _retries(world: World) -> Sequence[Row[Any]]:
    """What the sweeps dispatched, without the sweeps themselves."""
    return await world.rows(
        """SELECT args, user_id, organization_id FROM pgqueue.all_jobs
           WHERE kind = 'RetryPublishJob' AND args ->> 'scheduled_post_id' IS NOT NULL"""
    )


async def _sweep(world: World) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        await uow.dispatch(RetryPublishJob(cause="sweeper"), context=SYSTEM)
    await world.work()


async def _reconnect(world: World) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        account = await uow.session.get_one(SocialAccount, world.tenant.account_id)
        transition(account, AccountStatus.ACTIVE)
        await uow.publish(SocialAccountReconnected(social_account_id=account.id))
    await world.work()


async def _publish(world: World, event: Event) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        await uow.publish(event)


async def _a_quarter_passes(world: World) -> None:
    await world.execute(
        """UPDATE smm.scheduled_posts SET updated_at = updated_at - interval '15 minutes',
                                          scheduled_at = scheduled_at - interval '15 minutes'"""
    )


async def test_accounts_that_are_connected_again_at_once_are_looked_after_each_and_once(world: World) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        for account_id in (world.tenant.account_id, world.tenant.account_id, new_id()):
            await uow.publish(SocialAccountReconnected(social_account_id=account_id))
    await world.work()
    assert sorted(await world.jobs("RetryPublishJob")) == [("completed", 1), ("completed", 1), ("merged", 0)]
