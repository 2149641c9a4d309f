"""Every job of the domain, its queue and its policy. Jobs hold no business logic.

There are exactly the kinds of the job architecture document. A kind whose jobs work on one thing is, without that
thing's id, its own sweep: so schedules need no kinds beside them, and what is found shares the policy of what finds.
"""

from domain.jobs.accounts import RefreshExpiringTokensJob
from domain.jobs.administration import (
    CleanupSuspendedOrgsJob,
    InvalidateUserSessionsJob,
    InvalidationReason,
    PauseOrgScheduledPostsJob,
    ProcessAccountDeletionJob,
)
from domain.jobs.analytics import (
    CaptureCommentsJob,
    GenerateEmbeddingJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.jobs.billing import (
    CheckExpiredSubscriptionsJob,
    DowngradeToFreePlanJob,
    ProcessStripeWebhookJob,
    SyncUsageRecordsJob,
)
from domain.jobs.integration import DeliverWebhookJob, GenerateReportJob
from domain.jobs.maintenance import PurgeExpiredRecordsJob
from domain.jobs.media import GenerateThumbnailJob, ScanMediaJob
from domain.jobs.notifications import (
    NotifyPublishResultJob,
    PublishResult,
    SendPasswordResetJob,
    SendVerificationEmailJob,
)
from domain.jobs.publishing import (
    ProcessScheduledPostJob,
    RetryCause,
    RetryPublishJob,
)
from pgqueue import Job

JOBS: list[type[Job]] = [
    ProcessScheduledPostJob,
    RetryPublishJob,
    RefreshExpiringTokensJob,
    NotifyPublishResultJob,
    ProcessStripeWebhookJob,
    CheckExpiredSubscriptionsJob,
    DowngradeToFreePlanJob,
    SyncUsageRecordsJob,
    DeliverWebhookJob,
    GenerateReportJob,
    SendVerificationEmailJob,
    SendPasswordResetJob,
    PauseOrgScheduledPostsJob,
    InvalidateUserSessionsJob,
    CleanupSuspendedOrgsJob,
    ProcessAccountDeletionJob,
    ScanMediaJob,
    GenerateThumbnailJob,
    SyncPostMetricsJob,
    SyncAccountMetricsJob,
    CaptureCommentsJob,
    GenerateEmbeddingJob,
    PurgeExpiredRecordsJob,
]

__all__ = [
    "JOBS",
    "CaptureCommentsJob",
    "CheckExpiredSubscriptionsJob",
    "CleanupSuspendedOrgsJob",
    "DeliverWebhookJob",
    "DowngradeToFreePlanJob",
    "GenerateEmbeddingJob",
    "GenerateReportJob",
    "GenerateThumbnailJob",
    "InvalidateUserSessionsJob",
    "InvalidationReason",
    "NotifyPublishResultJob",
    "PauseOrgScheduledPostsJob",
    "ProcessAccountDeletionJob",
    "ProcessScheduledPostJob",
    "ProcessStripeWebhookJob",
    "PublishResult",
    "PurgeExpiredRecordsJob",
    "RefreshExpiringTokensJob",
    "RetryCause",
    "RetryPublishJob",
    "ScanMediaJob",
    "SendPasswordResetJob",
    "SendVerificationEmailJob",
    "SyncAccountMetricsJob",
    "SyncPostMetricsJob",
    "SyncUsageRecordsJob",
]
