"""Jobs of the queue `notifications`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.app import Application
    from pgqueue import Death, JobContext, Outcome

PublishResult = Literal["published", "failed", "unconfirmed"]


class NotificationJob(
    Job,
    abstract=True,
    queue="notifications",
    timeout="30s",
    retry=Retry(max_attempts=3, backoff=["30s", "60s", "300s"]),
):
    """The policy of everything that tells users something."""


class NotifyPublishResultJob(
    NotificationJob,
    use_case="NotifyPublishResult",
    dispatched_by=("PostPublished", "PostPublishFailed", "PostPublishUnconfirmed"),
):
    """Tell one user how a publication ended."""

    scheduled_post_id: UUID
    recipient_id: UUID
    outcome: PublishResult
    generation: int

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.notify_publish_result(
            ctx,
            scheduled_post_id=self.scheduled_post_id,
            recipient_id=self.recipient_id,
            outcome=self.outcome,
            generation=self.generation,
        )

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the e-mail did not go out."""
        await app.bury_notification(
            session,
            death,
            scheduled_post_id=self.scheduled_post_id,
            recipient_id=self.recipient_id,
            outcome=self.outcome,
            generation=self.generation,
        )
