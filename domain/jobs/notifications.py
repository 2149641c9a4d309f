"""Jobs of the queue `notifications`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
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
    idempotency="key",
    use_case="NotifyPublishResult or MailNotice",
    dispatched_by=("PostPublished", "PostPublishFailed", "PostPublishUnconfirmed", "NoticeLeft"),
):
    """Tell one user how a publication ended; without one, mail a notice that was left for this user."""

    recipient_id: UUID
    scheduled_post_id: UUID | None = None
    outcome: PublishResult = "failed"
    generation: int = 0
    notice_id: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.notify_publish_result(
            ctx,
            self.scheduled_post_id,
            self.recipient_id,
            self.outcome,
            self.generation,
            recipient_id=self.recipient_id,
            notice_id=self.notice_id,
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
            notice_id=self.notice_id,
        )


class LinkJob(NotificationJob, abstract=True, unique=Unique("user_token_id"), idempotency="key"):
    """Sends a link by e-mail. The link's secret is computed by the worker: the job knows the token's id alone."""

    user_token_id: UUID

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the e-mail did not go out."""
        await app.identity.bury_link(session, death, self.user_token_id)


class SendVerificationEmailJob(
    LinkJob, use_case="SendVerificationEmail", dispatched_by=("UserRegistered", "EmailChanged")
):
    """Send the link that proves an address."""

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.identity.send_verification_email(ctx, self.user_token_id)


class SendPasswordResetJob(LinkJob, use_case="SendPasswordReset", dispatched_by=("PasswordResetRequested",)):
    """Send the link to a new password, if there is anybody to send it to."""

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.identity.send_password_reset(ctx, self.user_token_id)
