"""What the networks tell: numbers that are absolute or not there, and comments that are news once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import select

from domain.gateways.failures import AuthExpired
from domain.gateways.networks import Grant
from domain.jobs import (
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.models import AccountMetrics, PostMetrics
from domain.standins import BlueskyStandIn, LinkedInStandIn
from domain.standins.faults import FOR_EVER
from domain.use_cases.analytics.asking import Source
from domain.use_cases.analytics.posts import SyncPostMetrics
from tests.domain.measuring import dispatch, three_in_the_morning
from tests.domain.networks import SECRET, OnNetwork, every, published
from tests.domain.world import TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.gateways.reading import Reader
    from domain.models import ScheduledPost
    from domain.use_cases.analytics.asking import Asking
    from pgqueue import JobContext
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


KEPT = "https://a.example/a.png"
# what each network tells of an account: followers, following, posts; its handle; its picture, or none
ACCOUNTS: dict[str, tuple[tuple[int | None, int | None, int | None], str, str]] = {
    "mastodon": ((3, 0, None), "@ana", KEPT),
    "bluesky": ((3, 0, 0), "@ana", "{url}/avatar/ana.jpg"),
    "instagram": ((3, 0, 0), "@ana", KEPT),
    "linkedin": ((None, None, None), "Ana", "https://media.example/p.jpg"),
}


def asking(world: World) -> Asking:
    use_case = world.app.analytics.sync_post_metrics.one
    assert isinstance(use_case, SyncPostMetrics)
    return use_case.asking


async def _metrics(world: World) -> Sequence[PostMetrics]:
    async with world.app.units.sessions() as session:
        return (await session.scalars(select(PostMetrics).order_by(PostMetrics.bucket))).all()


@pytest.mark.trap("a number that was not told is a zero")
@every
async def test_numbers_follow_a_publication_and_what_is_not_told_is_not_zero(on: OnNetwork) -> None:
    post = await published(on)
    on.network.audience.count(post.external_id or "", likes=7, reposts=None, views=90)
    on.network.audience.answer(post.external_id or "", "bia", "que bom")
    await on.world.make_due()
    await on.world.work()
    [numbers] = await _metrics(on.world)
    views = 90 if on.provider == "instagram" else None
    assert (numbers.likes, numbers.reposts, numbers.replies, numbers.impressions) == (7, None, 1, views)
    assert numbers.bucket == post.published_at
    after = await on.world.post(post.id)
    assert post.published_at is not None
    assert after.next_metrics_at is not None
    assert timedelta(minutes=50) < after.next_metrics_at - post.published_at < timedelta(minutes=70)


@pytest.mark.trap("numbers are added up")
async def test_numbers_are_absolute_and_each_bucket_is_asked_for_once(world: World, post: ScheduledPost) -> None:
    job = SyncPostMetricsJob(scheduled_post_id=post.id, bucket=datetime(2026, 11, 2, tzinfo=UTC))
    world.network.audience.count(post.external_id or "", likes=7)
    await dispatch(world, job)
    world.network.audience.count(post.external_id or "", likes=5)
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


@every
async def test_a_post_that_its_author_deleted_is_not_asked_about_again(on: OnNetwork) -> None:
    post = await published(on)
    on.network.remove(post.external_id or "")
    await on.world.make_due()
    await on.world.work()
    after = await on.world.post(post.id)
    assert (after.metrics_stopped, after.next_metrics_at, after.next_comments_at) == ("removed", None, None)
    assert await on.world.jobs("SyncPostMetricsJob") == [("discarded", 1)]
    assert await on.world.jobs("CaptureCommentsJob") == [("discarded", 1)]


@pytest.mark.parametrize("on", ["linkedin"], indirect=True)
async def test_what_the_grant_does_not_cover_is_not_asked_for_again(on: OnNetwork) -> None:
    assert isinstance(on.network, LinkedInStandIn)
    on.network.add_account("ana", SECRET, reads=False)
    post = await published(on)
    await on.world.make_due()
    await on.world.work()
    after = await on.world.post(post.id)
    assert (after.metrics_stopped, after.next_metrics_at, after.next_comments_at) == ("scope", None, None)
    assert (await on.account()).status == "active"


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


@every
async def test_a_refused_grant_is_said_on_the_account(on: OnNetwork) -> None:
    on.network.faults.set("unauthorized", calls=FOR_EVER)
    await dispatch(on.world, SyncAccountMetricsJob(social_account_id=on.account_id))
    assert (await on.account()).status == "needs_reauth"
    assert await on.world.jobs("SyncAccountMetricsJob") == [("discarded", 1)]


@pytest.mark.parametrize("on", ["bluesky"], indirect=True)
async def test_tokens_that_are_over_are_renewed_and_the_question_is_asked_again(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.expire_access()
    await dispatch(on.world, SyncAccountMetricsJob(social_account_id=on.account_id))
    account = await on.account()
    assert (account.status, account.token_version) == ("active", 2)
    assert (on.network.called("getProfile"), on.network.called("refreshSession")) == (2, 1)
    assert await on.world.jobs("SyncAccountMetricsJob") == [("completed", 1)]


async def test_a_refusal_of_tokens_that_are_replaced_by_now_ends_no_grant(world: World) -> None:
    read_before = Source(cast("Reader", None), Grant("", "", "old"), world.tenant.account_id, token_version=0)
    ctx = cast("JobContext", SimpleNamespace(context=world.tenant.context))

    async def question(to: Source) -> str:
        if to is read_before:
            raise AuthExpired("401", code="http_401")
        return to.grant.access

    assert await asking(world).ask(ctx, read_before, question) == f"{TOKEN}-aurora"
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


@every
async def test_an_account_has_one_row_a_day_and_an_empty_answer_empties_nothing(on: OnNetwork) -> None:
    job = SyncAccountMetricsJob(social_account_id=on.account_id)
    await on.world.execute("UPDATE smm.social_accounts SET avatar_url = :url", url=KEPT)
    for _ in range(2):
        await dispatch(on.world, job)
    async with on.world.app.units.sessions() as session:
        [numbers] = (await session.scalars(select(AccountMetrics))).all()
    account = await on.account()
    told, handle, picture = ACCOUNTS[on.provider]
    assert (numbers.followers, numbers.following, numbers.posts) == told
    assert (account.handle, account.avatar_url) == (handle, picture.format(url=on.network.url))


async def test_an_organization_on_linkedin_has_followers(world: World) -> None:
    with LinkedInStandIn() as network:
        urn = network.add_account("5", SECRET, kind="organization")
        numbers = await asking(world).readers.of("linkedin").account_numbers(Grant(network.url, urn, SECRET))
    assert (numbers.followers, numbers.following, numbers.posts) == (3, None, None)


async def test_accounts_are_asked_about_where_it_is_three_in_the_morning(world: World) -> None:
    day = await three_in_the_morning(world)
    await dispatch(world, SyncAccountMetricsJob(), system=True)
    found = await world.rows(
        "SELECT args FROM pgqueue.all_jobs WHERE kind = 'SyncAccountMetricsJob' AND args ->> 'day' IS NOT NULL"
    )
    assert [r.args for r in found] == [{"social_account_id": str(world.tenant.account_id), "day": str(day)}]
