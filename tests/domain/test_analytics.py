"""What the networks tell: numbers that are absolute or not there, and comments that are news once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import select

from domain.gateways.failures import AuthExpired
from domain.gateways.networks import Grant
from domain.gateways.reading import Readers
from domain.jobs import (
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.models import AccountMetrics, PostMetrics
from domain.standins.faults import FOR_EVER
from domain.use_cases.analytics.asking import Asking, Source
from tests.domain.measuring import dispatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.gateways.reading import Reader
    from domain.models import ScheduledPost
    from pgqueue import JobContext
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def _metrics(world: World) -> Sequence[PostMetrics]:
    async with world.app.units.sessions() as session:
        return (await session.scalars(select(PostMetrics).order_by(PostMetrics.bucket))).all()


@pytest.mark.trap("a number that was not told is a zero")
async def test_numbers_follow_a_publication_and_what_is_not_told_is_not_zero(world: World, post: ScheduledPost) -> None:
    world.network.audience.count(post.external_id or "", favourites_count=7, reblogs_count=None)
    await world.make_due()
    await world.work()
    [numbers] = await _metrics(world)
    assert (numbers.likes, numbers.reposts, numbers.replies, numbers.impressions) == (7, None, 0, None)
    assert numbers.bucket == post.published_at
    after = await world.post(post.id)
    assert post.published_at is not None
    assert after.next_metrics_at is not None
    assert timedelta(minutes=50) < after.next_metrics_at - post.published_at < timedelta(minutes=70)


@pytest.mark.trap("numbers are added up")
async def test_numbers_are_absolute_and_each_bucket_is_asked_for_once(world: World, post: ScheduledPost) -> None:
    job = SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 2, tzinfo=UTC))
    world.network.audience.count(post.external_id or "", favourites_count=7)
    await dispatch(world, job)
    world.network.audience.count(post.external_id or "", favourites_count=5)
    await dispatch(world, job)  # again after its completion
    assert [numbers.likes for numbers in await _metrics(world)] == [7]
    await dispatch(world, job.model_copy(update={"bucket": datetime(2026, 11, 3, tzinfo=UTC)}))
    assert [numbers.likes for numbers in await _metrics(world)] == [7, 5]


async def test_a_job_from_the_dead_letters_stores_its_bucket_once(world: World, post: ScheduledPost) -> None:
    world.network.faults.set("error", calls=FOR_EVER)
    job = SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 2, tzinfo=UTC))
    await dispatch(world, job)
    for _ in range(2):
        await world.execute(
            "UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = 'SyncPostMetricsJob' AND attempt > 0"
        )
        await world.work()
    [dead] = await world.rows("SELECT id FROM pgqueue.dead_jobs")
    world.network.faults.clear()
    async with world.engine.begin() as conn:
        await world.queue.requeue(conn, [dead.id], by="ana")
    await world.work()
    assert len(await _metrics(world)) == 1


async def test_a_post_that_its_author_deleted_is_not_asked_about_again(world: World, post: ScheduledPost) -> None:
    world.network.remove(post.external_id or "")
    await world.make_due()
    await world.work()
    after = await world.post(post.id)
    assert (after.metrics_stopped, after.next_metrics_at) == ("removed", None)
    assert await world.jobs("SyncPostMetricsJob") == [("discarded", 1)]


async def test_a_rate_limit_costs_no_attempt_and_keeps_the_next_job_from_calling(
    world: World, post: ScheduledPost
) -> None:
    world.network.faults.set("rate_limit", seconds=300)
    await dispatch(world, SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 2, tzinfo=UTC)))
    await dispatch(world, SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 3, tzinfo=UTC)))
    assert await _metrics(world) == []
    waiting = await world.rows(
        "SELECT attempt FROM pgqueue.all_jobs WHERE kind = 'SyncPostMetricsJob' AND args ->> 'bucket' IS NOT NULL"
    )
    assert [row.attempt for row in waiting] == [0, 0]


async def test_a_refused_grant_is_said_on_the_account(world: World, post: ScheduledPost) -> None:
    world.network.faults.set("unauthorized")
    await dispatch(world, SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 2, tzinfo=UTC)))
    assert (await world.account()).status == "needs_reauth"


async def test_a_refusal_of_tokens_that_are_replaced_by_now_ends_no_grant(world: World) -> None:
    asking = Asking(world.app.units, Readers({}), world.app.vault)
    read_before = Source(cast("Reader", None), Grant("", "", "old"), world.tenant.account_id, token_version=0)
    ctx = cast("JobContext", SimpleNamespace(context=world.tenant.context))
    with pytest.raises(AuthExpired):  # the next attempt has the new ones
        await asking.refused(AuthExpired("401", code="http_401"), read_before, ctx)
    assert (await world.account()).status == "active"


async def test_the_fan_out_takes_what_is_due_and_leaves_the_rest(world: World, post: ScheduledPost) -> None:
    due = datetime(2026, 11, 2, 12, tzinfo=UTC)
    other = await world.schedule("tchau")
    await world.work()
    await world.execute("UPDATE smm.scheduled_posts SET next_metrics_at = :due WHERE id = :id", due=due, id=post.id)
    for _ in range(2):
        await dispatch(world, SyncPostMetricsJob(), system=True)
    assert [(n.scheduled_post_id, n.bucket) for n in await _metrics(world)] == [(post.id, due)]
    later = (await world.post(other)).next_metrics_at
    assert later is not None
    assert later > datetime.now(UTC)


async def test_an_account_has_one_row_a_day_and_an_empty_answer_empties_nothing(world: World) -> None:
    job = SyncAccountMetricsJob(social_account_id=world.tenant.account_id)
    await world.execute("UPDATE smm.social_accounts SET avatar_url = 'https://a.example/a.png'")
    for _ in range(2):
        await dispatch(world, job)
    async with world.app.units.sessions() as session:
        [numbers] = (await session.scalars(select(AccountMetrics))).all()
    assert (numbers.followers, numbers.following, numbers.posts) == (3, 0, None)
    account = await world.account()
    assert (account.handle, account.avatar_url) == ("@aurora", "https://a.example/a.png")


async def test_accounts_are_asked_about_where_it_is_three_in_the_morning(world: World) -> None:
    [row] = await world.rows(
        "SELECT name, (now() AT TIME ZONE name)::date AS day FROM pg_timezone_names"
        " WHERE extract(hour FROM now() AT TIME ZONE name) = 3 AND name LIKE 'Etc/GMT%' LIMIT 1"
    )
    await world.execute(
        "UPDATE smm.organizations SET timezone = CASE WHEN id = :id THEN :zone ELSE"
        " (SELECT name FROM pg_timezone_names WHERE extract(hour FROM now() AT TIME ZONE name) = 9"
        "  AND name LIKE 'Etc/GMT%' LIMIT 1) END",
        id=world.tenant.organization_id,
        zone=row.name,
    )
    await dispatch(world, SyncAccountMetricsJob(), system=True)
    found = await world.rows(
        "SELECT args FROM pgqueue.all_jobs WHERE kind = 'SyncAccountMetricsJob' AND args ->> 'day' IS NOT NULL"
    )
    assert [r.args for r in found] == [{"social_account_id": str(world.tenant.account_id), "day": str(row.day)}]
