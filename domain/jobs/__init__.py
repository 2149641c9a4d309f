"""Every job of the domain, its queue and its policy. Jobs hold no business logic."""

from domain.jobs.analytics import (
    CaptureCommentsJob,
    FanOutAccountMetricsJob,
    FanOutCommentsJob,
    FanOutPostMetricsJob,
    GenerateEmbeddingJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
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
    SyncPostMetricsJob,
    SyncAccountMetricsJob,
    CaptureCommentsJob,
    GenerateEmbeddingJob,
    FanOutPostMetricsJob,
    FanOutAccountMetricsJob,
    FanOutCommentsJob,
]

__all__ = [
    "JOBS",
    "CaptureCommentsJob",
    "FanOutAccountMetricsJob",
    "FanOutCommentsJob",
    "FanOutPostMetricsJob",
    "GenerateEmbeddingJob",
    "GenerateThumbnailJob",
    "NotifyPublishResultJob",
    "ProcessScheduledPostJob",
    "PublishResult",
    "RetryPublishJob",
    "ScanMediaJob",
    "SweepUnscannedMediaJob",
    "SyncAccountMetricsJob",
    "SyncPostMetricsJob",
]
