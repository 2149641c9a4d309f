"""Traps that lie between the parts: each test fails where the naive way is taken."""

from __future__ import annotations

import asyncio
import io
import types
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import text

from domain.events import PostPublished
from domain.gateways.embeddings import HashingEmbedder
from domain.jobs import JOBS, GenerateEmbeddingJob, ProcessScheduledPostJob, RefreshExpiringTokensJob
from domain.standins.faults import FOR_EVER
from domain.system import SYSTEM
from domain.use_cases.analytics.ladders import METRICS, next_wait
from domain.use_cases.digests import AT_ONCE
from domain.use_cases.preparing import CALL_LASTS
from domain.use_cases.renewing import INTERVAL
from domain.use_cases.scheduling import SPACING, InvalidPost
from domain.use_cases.walltimes import keep_wall_times
from pgqueue.logs import configure
from pgqueue.settings import Settings
from tests.domain.signing_up import an_operator
from tests.domain.test_leaving import OWNER, due, leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue import Job
    from tests.domain.world import World

pytestmark = pytest.mark.anyio
_OPEN = """SELECT pid, xact_start FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"""
SAO_PAULO = "America/Sao_Paulo"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()


async def _in_mid_call(world: World) -> tuple[UUID, asyncio.Task[None]]:
    """Begin a publication whose network is slow, and return while it is being called."""
    world.network.faults.set("slow", seconds=0.6)
    post_id = await world.schedule()
    working = asyncio.create_task(world.work())
    async with asyncio.timeout(10):
        while not world.network.state()["spoiled"]:
            await world.execute("SELECT pg_sleep(0.01)")
    return post_id, working


@pytest.mark.trap("a transaction is open while a network is called")
async def test_no_transaction_is_open_while_a_network_is_called(world: World) -> None:
    post_id, working = await _in_mid_call(world)
    before = set(await world.rows(_OPEN))
    await world.execute("SELECT pg_sleep(0.15)")
    open_all_along = before & set(await world.rows(_OPEN))
    locks = await world.rows("SELECT 1 FROM smm.scheduled_posts FOR UPDATE NOWAIT")
    assert await world.attempts(post_id) == [("publish", None)]  # it is still calling
    await working
    assert open_all_along == set()
    assert len(locks) == 1


@pytest.mark.trap("a worker that lost its job writes down an ending")
async def test_a_worker_that_lost_its_job_in_mid_call_ends_nothing_and_the_next_makes_no_second_post(
    world: World, log: io.StringIO
) -> None:
    world.subscribers.append(configure("info", stream=log, json=True))
    post_id, working = await _in_mid_call(world)
    await world.execute(  # the queue takes it for dead, as if its heart had stopped
        """UPDATE pgqueue.jobs SET claims = claims + 1, claimed_by = NULL, claimed_at = NULL, lease_until = NULL,
             position = NULL, attempt = 0, crashes = 1, run_at = pgqueue.clock() + interval '1 hour'"""
    )
    await working
    async with asyncio.timeout(10):
        while "job.lease_lost" not in log.getvalue():
            await world.execute("SELECT pg_sleep(0.01)")
    assert (await world.post(post_id)).status == "publishing"
    async with asyncio.timeout(10):
        while (await world.post(post_id)).status != "published":
            await world.make_due()
            await world.work()
    assert await world.jobs() == [("completed", 1)]
    assert world.texts() == ["olá"]
    assert len(await world.rows("SELECT FROM smm.usage_events")) == 1


@pytest.mark.trap("a second worker starts while the first one still calls")
def test_a_call_is_given_longer_than_its_job_can_last() -> None:
    heartbeat = Settings(environment={}).heartbeat
    assert ProcessScheduledPostJob.policy.timeout is not None
    assert ProcessScheduledPostJob.policy.timeout + heartbeat < CALL_LASTS


@pytest.mark.trap("an outage ends and a day's posts of an account go out at once")
async def test_what_an_outage_held_up_goes_out_one_after_the_other(world: World) -> None:
    for number in range(5):
        await world.schedule(f"post {number}", when=datetime.now(UTC) + timedelta(days=1))
    theirs = await world.schedule("alone", when=datetime.now(UTC) + timedelta(days=1), tenant=world.stranger)
    await world.execute("UPDATE smm.scheduled_posts SET scheduled_at = now() - interval '6 hours'")
    async with world.app.units.begin(SYSTEM) as uow:
        assert await world.app.publishing.dispatch_due_posts.within(uow) == 6
    rows = await world.rows("SELECT args, run_at - pgqueue.clock() AS wait FROM pgqueue.all_jobs ORDER BY run_at")
    waits = [row.wait for row in rows if row.args["scheduled_post_id"] != str(theirs)]
    assert len({round(wait / SPACING) for wait in waits}) == 5
    assert waits[-1] > SPACING * 3.5
    [alone] = [row.wait for row in rows if row.args["scheduled_post_id"] == str(theirs)]
    assert alone <= timedelta(0)


@pytest.mark.trap("nine in the morning in a zone whose rules change")
async def test_nine_in_the_morning_stays_nine_when_the_zone_gets_other_rules(world: World) -> None:
    nine = (datetime.now(UTC) + timedelta(hours=20)).replace(microsecond=0, tzinfo=None)
    await _at(world, nine, SAO_PAULO)
    by_instant = await world.schedule(when=datetime.now(UTC) + timedelta(hours=20))
    [before] = await world.rows("SELECT scheduled_at, wall_time FROM smm.scheduled_posts WHERE wall_zone IS NOT NULL")
    assert before.wall_time == nine
    assert before.scheduled_at == nine.replace(tzinfo=UTC) + timedelta(hours=3)
    # as it would be stored if summer time had held when the post was scheduled, and was abolished since
    await world.execute("UPDATE smm.scheduled_posts SET scheduled_at = scheduled_at - interval '1 hour'")
    moved_by_hand = await world.post(by_instant)
    for _ in range(2):
        async with world.app.units.begin(SYSTEM) as uow:
            await keep_wall_times(uow)
    [after] = await world.rows("SELECT * FROM smm.scheduled_posts WHERE wall_zone IS NOT NULL")
    assert (after.scheduled_at, after.schedule_version) == (before.scheduled_at, 2)
    assert (await world.post(by_instant)).scheduled_at == moved_by_hand.scheduled_at


async def test_a_zone_that_is_none_is_refused(world: World) -> None:
    for zone in ("Mars/Base", "", "../etc/passwd", "America", "FOO+3", "UTC\x00"):
        with pytest.raises(InvalidPost, match="no time zone"):
            await _at(world, datetime(2030, 1, 1, 9), zone)  # noqa: DTZ001 - a time on the wall
    with pytest.raises(InvalidPost, match="two zones"):
        await _at(world, datetime.now(UTC), SAO_PAULO)


async def _at(world: World, when: datetime, zone: str) -> None:
    await world.app.publishing.schedule_post(
        world.tenant.context, body="olá", scheduled_at=when, account_ids=[world.tenant.account_id], zone=zone
    )


@pytest.mark.trap("everybody asks at the full hour")
def test_posts_of_one_minute_are_not_asked_about_in_one_minute() -> None:
    waits = {next_wait(METRICS, timedelta(hours=1)) for _ in range(20)}
    assert len(waits) > 10


class _OtherModel(HashingEmbedder):
    name = "hashing-2"


@pytest.mark.trap("vectors of two models are compared")
async def test_vectors_of_two_models_are_never_compared(world: World) -> None:
    old = await _embedded(world, "o melhor café da cidade")
    analytics = world.app.analytics
    generate = replace(analytics.generate_embedding, provider=_OtherModel())
    await world.restart(replace(world.app, analytics=replace(analytics, generate_embedding=generate)))
    new = await _embedded(world, "o melhor café da cidade!")
    assert await analytics.similar_posts(world.tenant.context, old) == []
    with_new = replace(analytics.similar_posts, provider=_OtherModel())
    assert await with_new(world.tenant.context, old) == []
    async with world.engine.begin() as conn:
        job = GenerateEmbeddingJob(subject_type="post", subject_id=old)
        await world.queue.enqueue(conn, job, context=world.tenant.context)
    await world.work()
    assert [each.post_id for each in await with_new(world.tenant.context, old)] == [new]
    models = await world.rows("SELECT model FROM smm.embeddings WHERE subject_id = :id ORDER BY model", id=old)
    assert [row.model for row in models] == ["hashing-1", "hashing-2"]


async def _embedded(world: World, body: str) -> UUID:
    scheduled = await world.schedule(body)
    await world.work()
    return (await world.post(scheduled)).post_id


@pytest.mark.trap("a sweep of 50,000 accounts in one tick")
async def test_very_many_tokens_are_renewed_in_slices_those_that_end_first_in_front(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.renewing.SLICE", 4)
    await world.execute(
        """INSERT INTO smm.social_accounts (id, organization_id, provider, base_url, external_id, handle, connected_by,
             credentials, credentials_kid, access_expires_at)
           SELECT gen_random_uuid(), :organization, 'bluesky', 'https://network.example', n::text, '@a', :user, 'x',
             'k', now() + make_interval(secs => n) FROM generate_series(1, 6) AS n""",
        organization=world.tenant.organization_id,
        user=world.tenant.owner_id,
    )
    await world.run(RefreshExpiringTokensJob(), SYSTEM)
    renewals = await world.rows(
        """SELECT extract(epoch FROM a.access_expires_at - now())::int AS left, j.run_at
           FROM pgqueue.all_jobs j JOIN smm.social_accounts a ON a.id = (j.args ->> 'social_account_id')::uuid
           WHERE kind = 'RefreshExpiringTokensJob' ORDER BY j.id"""
    )
    assert len(renewals) == 4  # the next tick takes the next ones
    assert [row.left for row in renewals] == sorted(row.left for row in renewals)
    assert max(row.left for row in renewals) <= 4
    assert renewals[3].run_at - renewals[1].run_at == INTERVAL / 2  # not all of them in one moment


@pytest.mark.trap("a listener enqueues outside the transaction")
async def test_what_a_listener_dispatches_is_rolled_back_with_what_it_heard_of(world: World) -> None:
    post_id = await world.schedule(when=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(RuntimeError):  # noqa: PT012 - the block is the transaction
        async with world.app.units.begin(world.tenant.context) as uow:
            event = PostPublished(scheduled_post_id=post_id, generation=1, audience=(world.tenant.owner_id,))
            await uow.publish(event)
            dispatched = await uow.session.execute(text("SELECT FROM pgqueue.outbox"))
            assert len(dispatched.all()) >= 3
            raise RuntimeError
    assert await world.rows("SELECT FROM pgqueue.all_jobs") == []


@pytest.mark.trap("a request fans out")
async def test_a_request_about_a_thousand_rows_dispatches_one_job(world: World) -> None:
    await world.schedule(when=datetime.now(UTC) + timedelta(days=1))
    await world.execute(
        """INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at,
             publish_key)
           SELECT gen_random_uuid(), organization_id, post_id, social_account_id, created_by, scheduled_at,
             gen_random_uuid() FROM smm.scheduled_posts, generate_series(1, 1000)"""
    )
    await world.app.identity.suspend_organization(
        await an_operator(world), world.tenant.organization_id, reason="fraud"
    )
    jobs = await world.rows("SELECT kind FROM pgqueue.outbox")
    assert [job.kind for job in jobs] == ["PauseOrgScheduledPostsJob"]


@pytest.mark.trap("a payload carries objects")
@pytest.mark.parametrize("job", JOBS)
def test_a_payload_is_ids_numbers_words_and_times(job: type[Job]) -> None:
    for name, field in job.model_fields.items():
        assert _simple(field.annotation), f"{job.__name__}.{name}"
    with pytest.raises(ValidationError):
        job.model_validate({"an_object_on_top": {}})


def _simple(hint: Any) -> bool:
    if get_origin(hint) in {Union, types.UnionType}:
        return all(_simple(each) for each in get_args(hint))
    return get_origin(hint) is Literal or hint in {UUID, int, str, date, datetime, types.NoneType}


@pytest.mark.trap("something personal is left in the logs")
async def test_logs_do_not_name_who_was_forgotten(world: World, log: io.StringIO) -> None:
    world.subscribers.append(configure("debug", stream=log, json=True))
    await leave(world)
    world.network.faults.set("error", calls=FOR_EVER)
    world.mail.faults.set("error", calls=2)
    for _ in range(3):
        await due(world)
    assert await world.jobs("ProcessAccountDeletionJob") == [("completed", 3)]
    assert "job.failed" in log.getvalue()
    assert not [personal for personal in (OWNER, "Ana Souza", "192.0.2.9") if personal in log.getvalue()]


@pytest.mark.trap("200 posts fail and 200 mails go out")
@pytest.mark.usefixtures("one_hour")
async def test_two_hundred_bad_news_of_an_hour_are_a_handful_of_mails(world: World) -> None:
    world.network.faults.set("reject", calls=FOR_EVER)
    for number in range(8):
        await world.schedule(f"refused {number}")
    await world.work()
    owner = [message for message in world.mail.state()["messages"] if message["to"] == ["owner@aurora.example"]]
    assert len(owner) == AT_ONCE
    notices = "SELECT FROM smm.notifications WHERE user_id = :id"
    assert len(await world.rows(notices, id=world.tenant.owner_id)) == 8
    waiting = await world.rows("SELECT attempt FROM pgqueue.jobs")
    assert {row.attempt for row in waiting} == {0}
    await world.execute("UPDATE smm.notifications SET created_at = created_at - interval '2 hours'")
    for _ in range(3):
        await world.make_due()
        await world.work()
    mails = [message for message in world.mail.state()["messages"] if message["to"] == ["owner@aurora.example"]]
    assert len(mails) == AT_ONCE + 1
    assert mails[-1]["subject"] == "Mais 5 publicações precisam da sua atenção"
    assert {state for state, _ in await world.jobs("NotifyPublishResultJob")} == {"completed"}
