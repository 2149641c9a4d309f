"""Jobs of the queue `publishing`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
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

    scheduled_post_id: UUID | None = None

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Put the scheduled post into a truthful state."""
        await app.publishing.bury_publication(session, self.scheduled_post_id, death)


class ProcessScheduledPostJob(
    PublishingJob,
    unique=Unique("scheduled_post_id", "schedule_version"),
    # an attempt is written down before its call: who comes later finds out what became of it
    idempotency="state check",
    use_case="PublishScheduledPost or DispatchDuePosts",
    dispatched_by=("schedule dispatch_due_posts", "DispatchDuePosts"),
):
    """Publish one scheduled post at its time; without one, give those that are due to the queue."""

    schedule_version: int | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.process_scheduled_post(ctx, self.scheduled_post_id, self.schedule_version)


RetryCause = Literal["user", "reauth", "media", "sweeper", "reconcile"]


class RetryPublishJob(
    PublishingJob,
    # an account may be connected again while its posts are being looked for: then they are looked for again
    unique=Unique("scheduled_post_id", "retry_no", "subject_id", on_conflict="replace"),
    idempotency="state check",
    use_case="RetryPublish or SweepStuckPosts or ResumePublications",
    dispatched_by=(
        "RetryPublication",
        "SocialAccountNeedsReauth",
        "SocialAccountReconnected",
        "SocialAccountRevoked",
        "MediaCleared",
        "schedule sweep_stuck_posts",
        "ResumePublications",
        "SweepStuckPosts",
    ),
):
    """Try a failed, unconfirmed or stuck publication again.

    Without one: find those of ``subject_id``, an account that is connected again (they go on), has to be (they wait)
    or was given up (they end), or a file that is clean; without that, too, those that are stuck.
    """

    cause: RetryCause
    retry_no: int = 0
    subject_id: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.retry_publish(
            ctx, self.scheduled_post_id, cause=self.cause, subject_id=self.subject_id
        )
