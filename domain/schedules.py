"""What recurs, in UTC: one job for each tick, however many workers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from domain.jobs import (
    CaptureCommentsJob,
    CheckExpiredSubscriptionsJob,
    CleanupSuspendedOrgsJob,
    DeliverWebhookJob,
    DispatchDuePostsJob,
    ProcessAccountDeletionJob,
    ProcessStripeWebhookJob,
    PurgeExpiredRecordsJob,
    RefreshExpiringTokensJob,
    ScanMediaJob,
    SweepStuckPostsJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
    SyncUsageRecordsJob,
)
from domain.jobs.maintenance import Retention
from domain.models import SYSTEM_ORGANIZATION, SYSTEM_USER
from pgqueue import Context, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM: Final = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))

MEDIA: Sequence[Schedule] = [
    Schedule("sweep_unscanned_media", ScanMediaJob(), every="10m", context=SYSTEM),
]
ANALYTICS: Sequence[Schedule] = [
    Schedule("fan_out_post_metrics", SyncPostMetricsJob(), every="5m", context=SYSTEM),
    Schedule("fan_out_comments", CaptureCommentsJob(), every="5m", context=SYSTEM),
    Schedule("fan_out_account_metrics", SyncAccountMetricsJob(), every="1h", context=SYSTEM),
]
MAINTENANCE: Sequence[Schedule] = [
    *(
        Schedule(
            f"purge_{policy}", PurgeExpiredRecordsJob(retention=policy), cron="30 2 * * *", jitter="30m", context=SYSTEM
        )
        for policy in get_args(Retention)
        if policy != "objects"
    ),
    # an infected file is to be gone soon, not by night
    Schedule("purge_objects", PurgeExpiredRecordsJob(retention="objects"), every="10m", context=SYSTEM),
]
PUBLISHING: Sequence[Schedule] = [
    Schedule("dispatch_due_posts", DispatchDuePostsJob(), every="10s", context=SYSTEM),
    Schedule("sweep_stuck_posts", SweepStuckPostsJob(), every="2m", context=SYSTEM),
    Schedule("refresh_expiring_tokens", RefreshExpiringTokensJob(), every="5m", context=SYSTEM),
]

BILLING: Sequence[Schedule] = [
    Schedule("check_expired_subscriptions", CheckExpiredSubscriptionsJob(), cron="5 * * * *", context=SYSTEM),
    Schedule("fan_out_usage", SyncUsageRecordsJob(), cron="20 * * * *", context=SYSTEM),
    Schedule("replay_missed_stripe_events", ProcessStripeWebhookJob(), cron="10 4 * * *", context=SYSTEM),
]

INTEGRATION: Sequence[Schedule] = [
    Schedule("endpoint_health", DeliverWebhookJob(), cron="0 5 * * *", context=SYSTEM),
]

IDENTITY: Sequence[Schedule] = [
    Schedule("cleanup_suspended_orgs", CleanupSuspendedOrgsJob(), cron="15 3 * * *", context=SYSTEM),
    Schedule("process_due_deletions", ProcessAccountDeletionJob(), cron="30 3 * * *", context=SYSTEM),
]

SCHEDULES: Final[Sequence[Schedule]] = [
    *PUBLISHING,
    *BILLING,
    *INTEGRATION,
    *IDENTITY,
    *MEDIA,
    *ANALYTICS,
    *MAINTENANCE,
]
