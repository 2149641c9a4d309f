"""NotifyPublishResult: tell a user how a publication ended, in the application and, if it went wrong, by e-mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.models import (
    Membership,
    Notification,
    Post,
    ScheduledPost,
    SocialAccount,
    User,
    new_id,
)
from domain.use_cases.clock import database_now
from domain.use_cases.digests import digest_of
from domain.use_cases.mailing import Letter, Mailing
from domain.use_cases.preferences import preferences_of
from domain.use_cases.templates import render
from domain.use_cases.throttling import spread
from domain.use_cases.wording import many_gone_wrong, wording
from pgqueue import Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.jobs import PublishResult
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.digests import Digest
    from pgqueue import Death, JobContext

# A success is good news that can wait in the application; the others need somebody to act.
BY_EMAIL = frozenset({"failed", "unconfirmed"})
_BAD_NEWS = tuple(f"publish_{outcome}" for outcome in sorted(BY_EMAIL))
_LOCK_TTL = timedelta(seconds=60)
_BUSY = timedelta(seconds=2)


class News(NamedTuple):
    """One fact for one user. Its key makes sure that it is told once."""

    scheduled_post_id: UUID
    recipient_id: UUID
    outcome: PublishResult
    generation: int

    @property
    def kind(self) -> str:
        """What users choose by whether they want to hear of it."""
        return f"publish_{self.outcome}"

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
class NotifyPublishResult:
    """Tell one user; safe to call again at any moment."""

    units: UnitsOfWork
    mailing: Mailing

    async def __call__(
        self,
        ctx: JobContext,
        scheduled_post_id: UUID,
        recipient_id: UUID,
        outcome: PublishResult,
        generation: int,
    ) -> Outcome | None:
        """Store the notice; for bad news also send a mail, alone or with others of the hour."""
        news = News(scheduled_post_id, recipient_id, outcome, generation)
        if not await self._by_email(ctx, news):
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
            digest = await digest_of(uow, news.recipient_id, news.key, _BAD_NEWS)
        if digest is None:
            return await self._mail(ctx, _letter(news, story))
        return await self._together(ctx, digest, story.user)

    async def _together(self, ctx: JobContext, digest: Digest, user: User) -> Outcome | None:
        """Send the mail of an hour at its end, unless another of its news has done so."""
        async with self.units.begin(ctx.context) as uow:
            if await self.mailing.over(uow, digest.key):
                return None  # whoever only looks does not take turns with the others that only look
            now = await database_now(uow)
        if now < digest.ends:
            return Snooze(spread(digest.ends - now), "much has gone wrong: it is told together")
        try:
            async with self.units.queue.lock(digest.key, ttl=_LOCK_TTL):
                return await self._mail(ctx, _letter_of_many(digest, user))
        except LockTaken:
            return Snooze(_BUSY, "somebody else is sending this mail")

    async def _by_email(self, ctx: JobContext, news: News) -> bool:
        if news.outcome not in BY_EMAIL:
            return False
        async with self.units.begin(ctx.context) as uow:
            preferences = await preferences_of(uow, [news.recipient_id], news.kind)
        return preferences.wants(news.recipient_id, "email", default=True)

    async def _mail(self, ctx: JobContext, letter: Letter) -> Outcome | None:
        async with self.units.begin(ctx.context) as uow:
            message = await self.mailing.begin(uow, letter)
        return None if message is None else await self.mailing.send(ctx, letter, message)


@dataclass(frozen=True, slots=True)
class MailNotice:
    """Send a notice that was left for somebody by e-mail, once; safe to call again at any moment."""

    units: UnitsOfWork
    mailing: Mailing

    async def __call__(self, ctx: JobContext, *, recipient_id: UUID, notice_id: UUID | None) -> Outcome | None:
        """Send it, unless the notice or its reader is gone."""
        async with self.units.begin(ctx.context) as uow:
            found = await uow.session.execute(
                select(Notification, User)
                .join(User, User.id == Notification.user_id)
                .where(
                    Notification.id == notice_id,
                    Notification.organization_id == uow.organization_id,
                    User.id == recipient_id,
                    User.status == "active",
                )
            )
            row = found.one_or_none()
            if row is None:
                return Discard("the notice or its reader is gone")
            notice, user = row
            words = render(user.locale, "notice", title=notice.title, body=notice.body, link=notice.link)
            letter = Letter(_key_of(notice.id), notice.kind, user.id, user.email, *words)
            message = await self.mailing.begin(uow, letter)
        return None if message is None else await self.mailing.send(ctx, letter, message)


@dataclass(frozen=True, slots=True)
class BuryNotification:
    """The job died: the mail did not go out, and the row says so."""

    mailing: Mailing

    async def __call__(
        self,
        session: AsyncSession,
        death: Death,
        *,
        scheduled_post_id: UUID | None,
        recipient_id: UUID,
        outcome: PublishResult,
        generation: int,
        notice_id: UUID | None,
    ) -> None:
        """Put a mail that was being sent back to `pending`: a requeued job takes it up again."""
        if scheduled_post_id is None:
            await self.mailing.bury(session, death, _key_of(notice_id))
            return
        news = News(scheduled_post_id, recipient_id, outcome, generation)
        uow = self.mailing.units.join(session, death.context)
        digest = await digest_of(uow, recipient_id, news.key, _BAD_NEWS)
        await self.mailing.bury(session, death, digest.key if digest else _key(news))


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
        .with_for_update(of=User, key_share=True)  # news of one user in turn: how many came before is counted
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
    """Store the notice; for whoever does not want to see it, as one that was read: the mails are counted by it."""
    preferences = await preferences_of(uow, [story.user.id], news.kind)
    shown = preferences.wants(story.user.id, "in_app", default=True)
    values = {
        "id": new_id(),
        "organization_id": uow.organization_id,
        "user_id": story.user.id,
        "kind": news.kind,
        "dedupe_key": news.key,
        "title": story.title,
        "body": story.body,
        "link": story.link,
        "read_at": None if shown else func.clock_timestamp(),
    }
    await uow.session.execute(insert(Notification).values(values).on_conflict_do_nothing())


def _letter(news: News, story: _Story) -> Letter:
    return Letter(_key(news), f"publish_{news.outcome}", story.user.id, story.user.email, story.title, story.body)


def _letter_of_many(digest: Digest, user: User) -> Letter:
    words = many_gone_wrong(user.locale, digest.count)
    return Letter(digest.key, "publish_digest", user.id, user.email, words.title, words.body)


def _key(news: News) -> str:
    return f"mail:{news.key}"


def _key_of(notice_id: UUID | None) -> str:
    return f"mail:notice:{notice_id}"
