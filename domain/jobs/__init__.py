"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

from domain.jobs.accounts import RefreshExpiringTokensJob
from domain.jobs.media import GenerateThumbnailJob, ScanMediaJob, SweepUnscannedMediaJob
from domain.jobs.notifications import NotifyPublishResultJob, PublishResult
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
    ScanMediaJob,
    GenerateThumbnailJob,
    SweepUnscannedMediaJob,
]

__all__ = [
    "JOBS",
    "DispatchDuePostsJob",
    "GenerateThumbnailJob",
    "NotifyPublishResultJob",
    "ProcessScheduledPostJob",
    "PublishResult",
    "RefreshExpiringTokensJob",
    "ResumePublicationsJob",
    "RetryCause",
    "RetryPublishJob",
    "ScanMediaJob",
    "SweepStuckPostsJob",
    "SweepUnscannedMediaJob",
]
