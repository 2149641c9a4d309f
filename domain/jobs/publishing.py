"""Jobs of the queue `publishing`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.app import Application
    from pgqueue import Death, JobContext, Outcome


class PublishingJob(
    Job,
    abstract=True,
    queue="publishing",
    timeout="120s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    max_age="24h",
):
    """The policy of everything that publishes. A post that is a day late is no longer wanted."""

    scheduled_post_id: UUID

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Put the scheduled post into a truthful state."""
        await app.publishing.bury_publication(session, self.scheduled_post_id, death)


class ProcessScheduledPostJob(
    PublishingJob,
    unique=Unique("scheduled_post_id", "schedule_version"),
    use_case="PublishScheduledPost",
    dispatched_by=("DispatchDuePosts",),
):
    """Publish one scheduled post at its time."""

    schedule_version: int

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.publish_scheduled_post(
            self.scheduled_post_id, ctx, schedule_version=self.schedule_version
        )


RetryCause = Literal["user", "reauth", "media", "sweeper", "reconcile"]


class RetryPublishJob(
    PublishingJob,
    unique=Unique("scheduled_post_id", "retry_no"),
    use_case="RetryPublish",
    dispatched_by=("RetryPublication", "ResumePublications", "SweepStuckPosts"),
):
    """Try a failed, unconfirmed or stuck publication again."""

    cause: RetryCause
    retry_no: int

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.retry_publish(self.scheduled_post_id, ctx)


class PublishingSweep(
    Job,
    abstract=True,
    queue="publishing",
    timeout="60s",
    retry=Retry(max_attempts=1, backoff=["60s"]),
    max_age="1h",
    retain="0s",
):
    """The policy of what looks after posts: the next tick comes soon."""


class DispatchDuePostsJob(PublishingSweep, use_case="DispatchDuePosts", dispatched_by=("schedule",)):
    """Give due posts to the queue."""

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        await app.publishing.dispatch_due_posts(ctx)


class SweepStuckPostsJob(PublishingSweep, use_case="SweepStuckPosts", dispatched_by=("schedule",)):
    """Find posts in flight without a job."""

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        await app.publishing.sweep_stuck_posts(ctx)


class ResumePublicationsJob(
    PublishingSweep,
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    use_case="ResumePublications",
    dispatched_by=("SocialAccountReconnected", "MediaCleared"),
):
    """Let posts go on whose account is connected again, or whose file is clean."""

    cause: Literal["reauth", "media"]
    subject_id: UUID

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        await app.publishing.resume_publications(ctx, cause=self.cause, subject_id=self.subject_id)
