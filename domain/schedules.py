"""What recurs, in UTC: one job for each tick, however many workers there are.

Every entry enqueues a kind's sweep: the job without the id of a thing. A colon divides the name from which part it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from domain.jobs import (
    CaptureCommentsJob,
    CheckExpiredSubscriptionsJob,
    CleanupSuspendedOrgsJob,
    DeliverWebhookJob,
    ProcessAccountDeletionJob,
    ProcessScheduledPostJob,
    ProcessStripeWebhookJob,
    PurgeExpiredRecordsJob,
    RefreshExpiringTokensJob,
    RetryPublishJob,
    ScanMediaJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
    SyncUsageRecordsJob,
)
from domain.jobs.maintenance import Retention
from domain.system import SYSTEM
from pgqueue import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue import Job


def _often(name: str, job: Job, **when: Any) -> Schedule:
    """Return an entry whose next tick comes soon: that is its retry.

    One that waited for an attempt of its own would keep the ticks in between out, as it is the same job.
    """
    return Schedule(name, job, context=SYSTEM, max_attempts=1, **when)


def _daily(name: str, job: Job, cron: str, **when: Any) -> Schedule:
    """Return an entry that is tried as often as its kind says: the next tick is far away."""
    return Schedule(name, job, cron=cron, context=SYSTEM, **when)


SCHEDULES: Final[Sequence[Schedule]] = [
    _often("dispatch_due_posts", ProcessScheduledPostJob(), every="10s"),
    _often("sweep_stuck_posts", RetryPublishJob(cause="sweeper"), every="2m"),
    _often("refresh_expiring_tokens", RefreshExpiringTokensJob(), every="5m"),
    _often("fan_out_post_metrics", SyncPostMetricsJob(), every="5m"),
    _often("fan_out_comments", CaptureCommentsJob(), every="5m"),
    _often("fan_out_account_metrics", SyncAccountMetricsJob(), every="1h"),
    _often("check_expired_subscriptions", CheckExpiredSubscriptionsJob(), cron="5 * * * *"),
    _often("fan_out_usage", SyncUsageRecordsJob(), cron="20 * * * *"),
    # when the month that has ended is closed
    _daily("fan_out_usage:month", SyncUsageRecordsJob(), "0 2 1 * *"),
    _often("sweep_unscanned_media", ScanMediaJob(), every="10m"),
    _daily("replay_missed_stripe_events", ProcessStripeWebhookJob(), "10 4 * * *"),
    _daily("cleanup_suspended_orgs", CleanupSuspendedOrgsJob(), "15 3 * * *"),
    _daily("process_due_deletions", ProcessAccountDeletionJob(), "30 3 * * *"),
    *(
        _daily(f"purge_expired_records:{policy}", PurgeExpiredRecordsJob(retention=policy), "30 2 * * *", jitter="30m")
        for policy in get_args(Retention)
        if policy != "objects"
    ),
    # an infected file is to be gone soon, not by night
    _often("purge_expired_records:objects", PurgeExpiredRecordsJob(retention="objects"), every="10m"),
    _daily("endpoint_health", DeliverWebhookJob(), "0 5 * * *"),
]
