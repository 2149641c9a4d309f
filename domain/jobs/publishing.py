"""Jobs of the queue `publishing`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry

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


class ProcessScheduledPostJob(PublishingJob, use_case="PublishScheduledPost", dispatched_by=("DispatchDuePosts",)):
    """Publish one scheduled post at its time."""

    schedule_version: int

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.publish_scheduled_post(
            self.scheduled_post_id, ctx, schedule_version=self.schedule_version
        )


class RetryPublishJob(PublishingJob, use_case="RetryPublish", dispatched_by=("RetryPublication",)):
    """Try a failed or unconfirmed publication again."""

    cause: Literal["user"]
    retry_no: int

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.retry_publish(self.scheduled_post_id, ctx)
