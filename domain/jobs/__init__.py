"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

from domain.jobs.administration import (
    CleanupSuspendedOrgsJob,
    InvalidateUserSessionsJob,
    InvalidationReason,
    PauseOrgScheduledPostsJob,
    ProcessAccountDeletionJob,
)
from domain.jobs.analytics import (
    CaptureCommentsJob,
    FanOutAccountMetricsJob,
    FanOutCommentsJob,
    FanOutPostMetricsJob,
    GenerateEmbeddingJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.jobs.maintenance import PurgeExpiredRecordsJob
from domain.jobs.media import GenerateThumbnailJob, ScanMediaJob, SweepUnscannedMediaJob
from domain.jobs.notifications import (
    NotifyPublishResultJob,
    PublishResult,
    SendPasswordResetJob,
    SendVerificationEmailJob,
)
from domain.jobs.publishing import ProcessScheduledPostJob, RetryPublishJob
from pgqueue import Job

JOBS: list[type[Job]] = [
    ProcessScheduledPostJob,
    RetryPublishJob,
    NotifyPublishResultJob,
    SendVerificationEmailJob,
    SendPasswordResetJob,
    PauseOrgScheduledPostsJob,
    InvalidateUserSessionsJob,
    CleanupSuspendedOrgsJob,
    ProcessAccountDeletionJob,
    ScanMediaJob,
    GenerateThumbnailJob,
    SweepUnscannedMediaJob,
    SyncPostMetricsJob,
    SyncAccountMetricsJob,
    CaptureCommentsJob,
    GenerateEmbeddingJob,
    FanOutPostMetricsJob,
    FanOutAccountMetricsJob,
    FanOutCommentsJob,
    PurgeExpiredRecordsJob,
]

__all__ = [
    "JOBS",
    "CaptureCommentsJob",
    "CleanupSuspendedOrgsJob",
    "FanOutAccountMetricsJob",
    "FanOutCommentsJob",
    "FanOutPostMetricsJob",
    "GenerateEmbeddingJob",
    "GenerateThumbnailJob",
    "InvalidateUserSessionsJob",
    "InvalidationReason",
    "NotifyPublishResultJob",
    "PauseOrgScheduledPostsJob",
    "ProcessAccountDeletionJob",
    "ProcessScheduledPostJob",
    "PublishResult",
    "PurgeExpiredRecordsJob",
    "RetryPublishJob",
    "ScanMediaJob",
    "SendPasswordResetJob",
    "SendVerificationEmailJob",
    "SweepUnscannedMediaJob",
    "SyncAccountMetricsJob",
    "SyncPostMetricsJob",
]
