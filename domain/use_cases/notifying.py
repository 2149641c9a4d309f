"""NotifyPublishResult: tell a user how a publication ended, in the application and, if it went wrong, by e-mail."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage as MimeMessage
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.gateways.failures import Postponed, Rejected
from domain.models import (
    EmailMessage,
    EmailStatus,
    Membership,
    Notification,
    Post,
    ScheduledPost,
    SocialAccount,
    User,
    new_id,
    transition,
)
from domain.use_cases.wording import wording
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.mail import Mailer
    from domain.gateways.vault import Vault
    from domain.jobs import PublishResult
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Death, JobContext

# A success is good news that can wait in the application; the others need somebody to act.
BY_EMAIL = frozenset({"failed", "unconfirmed"})


class News(NamedTuple):
    """One fact for one user. Its key makes sure that it is told once."""

    scheduled_post_id: UUID
    recipient_id: UUID
    outcome: PublishResult
    generation: int

    @property
    def key(self) -> str:
        """The same for every attempt to tell this fact to this user."""
        return f"notify:{self.scheduled_post_id}:{self.outcome}:{self.generation}:{self.recipient_id}"


class _Story(NamedTuple):
    user: User
    title: str
    body: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails come from."""

    address: str
    domain: str


@dataclass(frozen=True, slots=True)
class NotifyPublishResult:
    """Tell one user; safe to call again at any moment."""

    units: UnitsOfWork
    mailer: Mailer
    vault: Vault
    sender: Sender

    async def __call__(
        self,
        ctx: JobContext,
        *,
        scheduled_post_id: UUID,
        recipient_id: UUID,
        outcome: PublishResult,
        generation: int,
    ) -> Outcome | None:
        """Store the notice; for bad news also send a mail, written down before and after."""
        news = News(scheduled_post_id, recipient_id, outcome, generation)
        if outcome not in BY_EMAIL:
            async with ctx.transaction() as session:
                uow = self.units.join(session, ctx.context)
                story = await _story(uow, news)
                if story is not None:
                    await _notice(uow, news, story)
            return None
        async with self.units.begin(ctx.context) as uow:
            story = await _story(uow, news)
            if story is None:
                return Discard("the recipient or the post is gone")
            await _notice(uow, news, story)
            email = await self._email(uow, news, story.user)
            if email.status in (EmailStatus.SENT, EmailStatus.BOUNCED):
                return None
            if email.status == EmailStatus.PENDING:
                transition(email, EmailStatus.SENDING)
            message = self._message(email, story)
        return await self._send(news, message, ctx)

    async def _send(self, news: News, message: MimeMessage, ctx: JobContext) -> Outcome | None:
        try:
            reply = await self.mailer.send(message)
        except Rejected as error:
            async with self.units.begin(ctx.context) as uow:
                await _settle(uow, news, EmailStatus.BOUNCED, error.status, str(error))
            return Discard(f"{error.code}: {error}")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        async with ctx.transaction() as session:
            await _settle(self.units.join(session, ctx.context), news, EmailStatus.SENT, 250, reply)
        return None

    async def _email(self, uow: UnitOfWork, news: News, user: User) -> EmailMessage:
        key = f"mail:{news.key}"
        values = {
            "id": new_id(),
            "organization_id": uow.organization_id,
            "user_id": user.id,
            "dedupe_key": key,
            "template": f"publish_{news.outcome}",
            "recipient_fingerprint": self.vault.fingerprint(user.email),
            "message_id": f"<{new_id().hex}@{self.sender.domain}>",
        }
        await uow.session.execute(insert(EmailMessage).values(values).on_conflict_do_nothing())
        found = await uow.session.scalars(select(EmailMessage).where(EmailMessage.dedupe_key == key).with_for_update())
        return found.one()

    def _message(self, email: EmailMessage, story: _Story) -> MimeMessage:
        message = MimeMessage()
        message["From"] = self.sender.address
        message["To"] = story.user.email
        message["Subject"] = story.title
        message["Message-ID"] = email.message_id  # the same on a second attempt, so that a copy can be recognised
        message.set_content(story.body)
        return message


@dataclass(frozen=True, slots=True)
class BuryNotification:
    """The job died: the mail did not go out, and the row says so."""

    units: UnitsOfWork

    async def __call__(
        self,
        session: AsyncSession,
        death: Death,
        *,
        scheduled_post_id: UUID,
        recipient_id: UUID,
        outcome: PublishResult,
        generation: int,
    ) -> None:
        """Put a mail that was being sent back to `pending`: a requeued job takes it up again."""
        news = News(scheduled_post_id, recipient_id, outcome, generation)
        await _settle(self.units.join(session, death.context), news, EmailStatus.PENDING, None, death.error)


async def _story(uow: UnitOfWork, news: News) -> _Story | None:
    found = await uow.session.execute(
        select(User, ScheduledPost, Post.body, SocialAccount.handle)
        .join(Membership, Membership.user_id == User.id)
        .join(ScheduledPost, ScheduledPost.organization_id == Membership.organization_id)
        .join(Post, Post.id == ScheduledPost.post_id)
        .join(SocialAccount, SocialAccount.id == ScheduledPost.social_account_id)
        .where(
            Membership.organization_id == uow.organization_id,
            User.id == news.recipient_id,
            User.status == "active",
            ScheduledPost.id == news.scheduled_post_id,
        )
    )
    row = found.one_or_none()
    if row is None:
        return None
    user, scheduled, body, handle = row
    words = wording(user.locale, news.outcome)
    text = words.body.format(
        handle=handle, body=body, link=scheduled.permalink, reason=scheduled.failure_message or "-"
    )
    return _Story(user, words.title, text, scheduled.permalink)


async def _notice(uow: UnitOfWork, news: News, story: _Story) -> None:
    values = {
        "id": new_id(),
        "organization_id": uow.organization_id,
        "user_id": story.user.id,
        "kind": f"publish_{news.outcome}",
        "dedupe_key": news.key,
        "title": story.title,
        "body": story.body,
        "link": story.link,
    }
    await uow.session.execute(insert(Notification).values(values).on_conflict_do_nothing())


async def _settle(uow: UnitOfWork, news: News, status: EmailStatus, code: int | None, reply: str) -> None:
    email = await uow.session.scalar(
        select(EmailMessage).where(EmailMessage.dedupe_key == f"mail:{news.key}").with_for_update()
    )
    if email is None or email.status != EmailStatus.SENDING:
        return
    transition(email, status)
    email.smtp_code, email.smtp_reply = code, reply[:500].replace("\x00", "")
    if status == EmailStatus.SENT:
        email.sent_at = func.clock_timestamp()
