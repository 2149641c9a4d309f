"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

from domain.jobs.administration import (
    CleanupSuspendedOrgsJob,
    InvalidateUserSessionsJob,
    InvalidationReason,
    PauseOrgScheduledPostsJob,
    ProcessAccountDeletionJob,
)
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
]

__all__ = [
    "JOBS",
    "CleanupSuspendedOrgsJob",
    "GenerateThumbnailJob",
    "InvalidateUserSessionsJob",
    "InvalidationReason",
    "NotifyPublishResultJob",
    "PauseOrgScheduledPostsJob",
    "ProcessAccountDeletionJob",
    "ProcessScheduledPostJob",
    "PublishResult",
    "RetryPublishJob",
    "ScanMediaJob",
    "SendPasswordResetJob",
    "SendVerificationEmailJob",
    "SweepUnscannedMediaJob",
]
