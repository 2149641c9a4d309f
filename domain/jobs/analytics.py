"""Jobs that ask the networks about what is published: each calls one use case."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
    from pgqueue import Death, JobContext, Outcome


class AnalyticsJob(
    Job,
    abstract=True,
    queue="analytics-sync",
    timeout="120s",
    retry=Retry(max_attempts=3, backoff=["120s", "600s", "1800s"]),
    max_age="1d",
):
    """The policy of everything that reads numbers."""


class SyncPostMetricsJob(
    AnalyticsJob,
    unique=Unique("scheduled_post_id", "bucket"),
    idempotency="key",
    use_case="SyncPostMetrics or FanOutPostMetrics",
    dispatched_by=("PostPublished", "schedule fan_out_post_metrics", "FanOutPostMetrics"),
):
    """Store the numbers of a post, without a bucket those of the publication itself; without a post, fan out."""

    scheduled_post_id: UUID | None = None
    bucket: datetime | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.analytics.sync_post_metrics(ctx, self.scheduled_post_id, self.bucket)


class SyncAccountMetricsJob(
    AnalyticsJob,
    unique=Unique("social_account_id", "day"),
    idempotency="key",
    use_case="SyncAccountMetrics or FanOutAccountMetrics",
    dispatched_by=("SocialAccountConnected", "schedule fan_out_account_metrics", "FanOutAccountMetrics"),
):
    """Store the numbers of an account, without a day those of today; without an account, fan out."""

    social_account_id: UUID | None = None
    day: date | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.analytics.sync_account_metrics(ctx, self.social_account_id, self.day)


class CaptureCommentsJob(
    Job,
    queue="default",
    timeout="90s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    max_age="1d",
    unique=Unique("scheduled_post_id", "tick", "after"),
    idempotency="state check",
    use_case="CaptureComments or FanOutComments",
    dispatched_by=("PostPublished", "schedule fan_out_comments", "FanOutComments", "CaptureComments"),
):
    """Store the answers to a post; without a post, fan out.

    ``after`` names the page that it goes on from, so that it is another job; ``part`` counts these jobs.
    """

    scheduled_post_id: UUID | None = None
    tick: datetime | None = None
    after: str | None = None
    part: int = 1

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.analytics.capture_comments(ctx, self.scheduled_post_id, self.tick, self.part)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Go on with the next tick."""
        await app.analytics.bury_comments(session, self.scheduled_post_id, self.tick, death)


class GenerateEmbeddingJob(
    Job,
    queue="low",
    timeout="600s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    unique=Unique("subject_type", "subject_id", while_="waiting"),
    idempotency="key",
    use_case="GenerateEmbedding",
    dispatched_by=("PostPublished", "PostEdited", "CommentsCaptured"),
):
    """Store the vector of a text as it is when the job runs: so an older job cannot store an older text's."""

    subject_type: Literal["post", "comment", "publication"]
    subject_id: UUID

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.analytics.generate_embedding(self.subject_type, self.subject_id, ctx)
