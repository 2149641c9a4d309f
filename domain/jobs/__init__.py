"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

from domain.jobs.media import GenerateThumbnailJob, ScanMediaJob, SweepUnscannedMediaJob
from domain.jobs.notifications import NotifyPublishResultJob, PublishResult
from domain.jobs.publishing import ProcessScheduledPostJob, RetryPublishJob
from pgqueue import Job

JOBS: list[type[Job]] = [
    ProcessScheduledPostJob,
    RetryPublishJob,
    NotifyPublishResultJob,
    ScanMediaJob,
    GenerateThumbnailJob,
    SweepUnscannedMediaJob,
]

__all__ = [
    "JOBS",
    "GenerateThumbnailJob",
    "NotifyPublishResultJob",
    "ProcessScheduledPostJob",
    "PublishResult",
    "RetryPublishJob",
    "ScanMediaJob",
    "SweepUnscannedMediaJob",
]
