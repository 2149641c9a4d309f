"""What recurs, how often, and how much one tick may cause."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pytest

from domain.app import app
from domain.jobs import (
    CaptureCommentsJob,
    ProcessScheduledPostJob,
    RefreshExpiringTokensJob,
    ScanMediaJob,
    SyncPostMetricsJob,
)
from domain.jobs.maintenance import Retention
from domain.schedules import SCHEDULES
from domain.system import SYSTEM
from domain.use_cases import renewing, scheduling, sweeping
from domain.use_cases.administration import cleanup, deletion
from domain.use_cases.analytics import accounts, comments, posts
from domain.use_cases.billing import downgrading, usage
from domain.use_cases.integration import endpoints
from domain.use_cases.media import scanning
from pgqueue import Context

if TYPE_CHECKING:
    from pgqueue import Job, Schedule
    from tests.domain.world import World

EVERY = {
    "dispatch_due_posts": ("10s", "ProcessScheduledPostJob"),
    "sweep_stuck_posts": ("2m", "RetryPublishJob"),
    "refresh_expiring_tokens": ("5m", "RefreshExpiringTokensJob"),
    "fan_out_post_metrics": ("5m", "SyncPostMetricsJob"),
    "fan_out_comments": ("5m", "CaptureCommentsJob"),
    "fan_out_account_metrics": ("1h", "SyncAccountMetricsJob"),
    "check_expired_subscriptions": ("5 * * * *", "CheckExpiredSubscriptionsJob"),
    "fan_out_usage": ("20 * * * *", "SyncUsageRecordsJob"),
    "fan_out_usage:month": ("0 2 1 * *", "SyncUsageRecordsJob"),
    "sweep_unscanned_media": ("10m", "ScanMediaJob"),
    "replay_missed_stripe_events": ("10 4 * * *", "ProcessStripeWebhookJob"),
    "cleanup_suspended_orgs": ("15 3 * * *", "CleanupSuspendedOrgsJob"),
    "process_due_deletions": ("30 3 * * *", "ProcessAccountDeletionJob"),
    "endpoint_health": ("0 5 * * *", "DeliverWebhookJob"),
    "purge_expired_records:objects": ("10m", "PurgeExpiredRecordsJob"),
} | {
    f"purge_expired_records:{policy}": ("30 2 * * *", "PurgeExpiredRecordsJob")
    for policy in get_args(Retention)
    if policy != "objects"
}
# The longest gap between two ticks in which a job that failed may wait for its own next attempt.
SOON = {"10s", "2m", "5m", "10m", "1h"}


def test_names_and_cadences_are_the_promised_ones() -> None:
    assert {entry.name: (entry.every or entry.cron, entry.job.kind) for entry in SCHEDULES} == EVERY
    assert {entry["name"] for entry in app.schedules} == set(EVERY)
    assert {entry.time_zone for entry in SCHEDULES} == {"UTC"}


@pytest.mark.parametrize("entry", SCHEDULES, ids=lambda entry: entry.name)
def test_a_tick_is_one_job_of_the_system_and_a_missed_one_runs_once(entry: Schedule) -> None:
    assert entry.missed == "once"
    assert entry.context == SYSTEM
    # a tick that comes while the one before it is still there is that one
    assert entry.job.policy.unique is not None


@pytest.mark.parametrize("entry", SCHEDULES, ids=lambda entry: entry.name)
def test_what_failed_is_left_to_the_next_tick_where_that_comes_soon(entry: Schedule) -> None:
    hourly = entry.cron is not None and entry.cron.endswith(" * * * *")
    assert entry.max_attempts == (1 if hourly or entry.every in SOON else None)


def test_how_much_one_tick_may_cause() -> None:
    assert (500, timedelta(seconds=60)) == (scheduling.BATCH, scheduling.LOOK_AHEAD)
    assert (500, timedelta(minutes=10)) == (sweeping.MOST, sweeping.STUCK_AFTER)
    assert (500, timedelta(minutes=5)) == (renewing.SLICE, renewing.INTERVAL)
    assert (posts.BATCH, posts.MOST_OF_ACCOUNT) == (1_000, 50)
    assert comments.BATCH == 500
    assert accounts.LOCAL_HOUR == 3
    assert downgrading.SLICE == 200
    assert timedelta(hours=2) == usage.CLOSES_AFTER  # the month that is over, on the first at two
    assert timedelta(minutes=10) == scanning.OVERDUE
    assert (cleanup.MOST_A_DAY, deletion._BATCH) == (100, 500)
    assert timedelta(days=3) == endpoints.FAILING_FOR


POSTS = """WITH p AS (INSERT INTO smm.posts (id, organization_id, author_id, body)
                      VALUES (gen_random_uuid(), :organization, :author, 'x') RETURNING id)
    INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at,
                                     publish_key, status, published_at, external_id, next_metrics_at, next_comments_at)
    SELECT gen_random_uuid(), :organization, p.id, :account, :author, now(), gen_random_uuid(), {how}
    FROM p, generate_series(1, 5) n"""
DUE = POSTS.format(how="'scheduled', NULL, NULL, NULL, NULL")
PUBLISHED = POSTS.format(how="'published', now(), n::text, now(), now()")
FILES = """INSERT INTO smm.media (id, organization_id, uploaded_by, storage_key, filename, declared_type, byte_size,
                                  created_at)
    SELECT gen_random_uuid(), :organization, :author, 'media/' || n, 'a.jpg', 'image/jpeg', 3,
           now() - interval '11 minutes'
    FROM generate_series(1, 5) n"""
ACCOUNTS = """INSERT INTO smm.social_accounts (id, organization_id, provider, base_url, external_id, handle,
                                               connected_by, credentials, credentials_kid, access_expires_at)
    SELECT gen_random_uuid(), :organization, 'bluesky', 'http://127.0.0.1:9', n::text, '@' || n, :author, 'x', 'x',
           now() + interval '1 minute'
    FROM generate_series(1, 5) n"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("rows", "bound", "tick"),
    [
        (DUE, "scheduling.BATCH", ProcessScheduledPostJob()),
        (PUBLISHED, "analytics.posts.BATCH", SyncPostMetricsJob()),
        (PUBLISHED, "analytics.posts.MOST_OF_ACCOUNT", SyncPostMetricsJob()),
        (PUBLISHED, "analytics.comments.BATCH", CaptureCommentsJob()),
        (FILES, "media.scanning.BATCH", ScanMediaJob()),
        (ACCOUNTS, "renewing.SLICE", RefreshExpiringTokensJob()),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
async def test_a_tick_takes_no_more_than_its_bound(
    world: World, monkeypatch: pytest.MonkeyPatch, rows: str, bound: str, tick: Job
) -> None:
    monkeypatch.setattr(f"domain.use_cases.{bound}", 3)
    tenant = world.tenant
    about = {"organization": tenant.organization_id, "author": tenant.author_id, "account": tenant.account_id}
    await world.execute(rows, **{name: value for name, value in about.items() if f":{name}" in rows})
    async with world.app.units.begin(SYSTEM) as uow:
        await uow.dispatch(tick)
    await world.work()
    [made] = await world.rows(
        "SELECT count(*) AS n FROM pgqueue.all_jobs WHERE kind = :kind AND organization_id = :organization",
        kind=tick.kind,
        organization=str(tenant.organization_id),
    )
    assert made.n == 3


@pytest.mark.anyio
async def test_accounts_that_cannot_be_renewed_keep_no_others_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.renewing.SLICE", 3)
    tenant = world.tenant
    await world.execute(ACCOUNTS, organization=tenant.organization_id, author=tenant.author_id)
    await world.execute(
        """UPDATE smm.social_accounts SET refresh_failures = 1, access_expires_at = now() - interval '1 day'
           WHERE provider = 'bluesky' AND external_id IN ('1', '2', '3')"""
    )
    chosen = world.app.publishing.refresh_expiring_tokens.sweep
    assert isinstance(chosen, renewing.SweepExpiringTokens)
    async with world.app.units.begin(Context(SYSTEM.organization_id, SYSTEM.user_id)) as uow:
        found = (await uow.session.scalars(chosen._due().limit(3))).all()
    assert [account.refresh_failures for account in found] == [0, 0, 1]


@pytest.mark.anyio
async def test_an_account_with_very_many_due_posts_keeps_no_others_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.use_cases.analytics.comments.BATCH", 3)
    for tenant in (world.tenant, world.stranger):
        about = {"organization": tenant.organization_id, "author": tenant.author_id, "account": tenant.account_id}
        await world.execute(PUBLISHED, **about)
    await world.execute(
        "UPDATE smm.scheduled_posts SET next_comments_at = now() - interval '1 hour' WHERE organization_id = :id",
        id=world.tenant.organization_id,
    )
    async with world.app.units.begin(SYSTEM) as uow:
        await uow.dispatch(CaptureCommentsJob())
    await world.work()
    made = await world.rows(
        "SELECT organization_id FROM pgqueue.all_jobs WHERE kind = 'CaptureCommentsJob' AND organization_id <> :system",
        system=SYSTEM.organization_id,
    )
    assert {row.organization_id for row in made} == {
        str(world.tenant.organization_id),
        str(world.stranger.organization_id),
    }
