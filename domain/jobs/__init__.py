"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

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
    DispatchDuePostsJob,
    ProcessScheduledPostJob,
    ResumePublicationsJob,
    RetryCause,
    RetryPublishJob,
    SweepStuckPostsJob,
)
from pgqueue import Job

JOBS: list[type[Job]] = [
    ProcessScheduledPostJob,
    RetryPublishJob,
    DispatchDuePostsJob,
    SweepStuckPostsJob,
    ResumePublicationsJob,
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
    "DispatchDuePostsJob",
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
    "ResumePublicationsJob",
    "RetryCause",
    "RetryPublishJob",
    "ScanMediaJob",
    "SendPasswordResetJob",
    "SendVerificationEmailJob",
    "SweepStuckPostsJob",
    "SyncAccountMetricsJob",
    "SyncPostMetricsJob",
    "SyncUsageRecordsJob",
]
