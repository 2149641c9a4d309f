"""What people answer: CaptureComments, and FanOutComments that finds whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from domain.events import CommentsCaptured
from domain.gateways.failures import Rejected
from domain.jobs import CaptureCommentsJob
from domain.models import Comment, PostStatus, ScheduledPost, new_id
from domain.use_cases.analytics.asking import Source
from domain.use_cases.analytics.ladders import COMMENTS, next_wait
from domain.use_cases.publications import database_now, locked
from pgqueue import Context, Discard, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.reading import RemoteComment
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.analytics.asking import Asking
    from pgqueue import Death, JobContext

BATCH = 500
PAGES = 5
MOST_PARTS = 20
"""Of one reading: should a network never say that a page is the last one, this bounds what a tick costs."""
MOST_IN_EVENT = 50
_MOST_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one run read: from ``began`` (None: the first page) to ``cursor`` (None: the last one)."""

    comments: Sequence[RemoteComment]
    began: str | None
    cursor: str | None
    whole: bool
    """No page left anything out."""

    @property
    def complete(self) -> bool:
        return self.began is None and self.cursor is None and self.whole


@dataclass(frozen=True, slots=True)
class CaptureComments:
    """Store the answers to a post; tell of new ones once, and of none at the first reading."""

    units: UnitsOfWork
    asking: Asking

    async def __call__(
        self, ctx: JobContext, scheduled_post_id: UUID, tick: datetime | None, part: int
    ) -> Outcome | None:
        """Read at most some pages; more are read by a job that follows, as the next part."""
        async with self.units.begin(ctx.context) as uow:
            row = await locked(uow, scheduled_post_id)
            if row is None or not _wanted(row, tick, await database_now(uow)):
                return None
            source = await self.asking.source(uow, row.social_account_id)
        if not isinstance(source, Source):
            return source
        external_id, began = row.external_id or "", row.comments_cursor
        try:
            reading = await self.asking.ask(ctx, source, lambda to: _read(to, external_id, began))
        except Rejected as error:
            return await self._stop(scheduled_post_id, error, ctx)
        if not isinstance(reading, _Reading):
            return reading
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            await self._store(uow, scheduled_post_id, tick, (part, source.grant.external_id, reading))
        return None

    async def _store(
        self, uow: UnitOfWork, scheduled_post_id: UUID, tick: datetime | None, read: tuple[int, str, _Reading]
    ) -> None:
        part, own_id, reading = read
        # the lock keeps a second reader from telling the same news
        row = await locked(uow, scheduled_post_id)
        now = await database_now(uow)
        if row is None or not _wanted(row, tick, now) or row.comments_cursor != reading.began:
            return
        silent = row.next_comments_at is None
        new = [
            comment_id
            for comment in reading.comments
            if (comment_id := await _upsert(uow, row, comment, own=comment.author_external_id == own_id))
        ]
        if reading.complete:
            await _mark_vanished(uow, row, {comment.external_id for comment in reading.comments})
        more = reading.cursor if part < MOST_PARTS else None
        row.comments_cursor = more
        if more is not None:
            await uow.dispatch(CaptureCommentsJob(scheduled_post_id=row.id, tick=tick, after=more, part=part + 1))
        else:
            _plan_next(row, now)
        if new and not silent:
            await uow.publish(
                CommentsCaptured(scheduled_post_id=row.id, comment_ids=tuple(new[:MOST_IN_EVENT]), new=len(new))
            )

    async def _stop(self, scheduled_post_id: UUID, error: Rejected, ctx: JobContext) -> Outcome:
        """Leave what we have as it is: a network that refuses has not said that the comments are gone."""
        async with self.units.begin(ctx.context) as uow:
            row = await locked(uow, scheduled_post_id)
            if row is not None:
                row.next_comments_at = row.comments_cursor = None
        return Discard(f"{error.code}: {error}")


@dataclass(frozen=True, slots=True)
class FanOutComments:
    """Dispatch a job for each post whose turn it is, the first of every account before the second of any."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> Outcome | None:
        """Dispatch one batch, in one transaction with the job's completion."""
        # an account that has to be left alone keeps its posts due for hours: they keep nobody else's waiting
        place = func.row_number().over(
            partition_by=ScheduledPost.social_account_id, order_by=ScheduledPost.next_comments_at
        )
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            found = await uow.session.execute(
                select(
                    ScheduledPost.id,
                    ScheduledPost.organization_id,
                    ScheduledPost.created_by,
                    ScheduledPost.next_comments_at,
                )
                .where(
                    ScheduledPost.status == PostStatus.PUBLISHED,
                    ScheduledPost.next_comments_at <= func.clock_timestamp(),
                )
                .order_by(place, ScheduledPost.next_comments_at)
                .limit(BATCH)
            )
            for post_id, organization_id, user_id, tick in found.all():
                await uow.dispatch(
                    CaptureCommentsJob(scheduled_post_id=post_id, tick=tick),
                    context=Context(str(organization_id), str(user_id)),
                )
        return None


@dataclass(frozen=True, slots=True)
class BuryComments:
    """The job died: this tick is lost, and the next one comes at its time."""

    units: UnitsOfWork

    async def __call__(
        self, session: AsyncSession, scheduled_post_id: UUID | None, tick: datetime | None, death: Death
    ) -> None:
        """Plan it, in the burying transaction."""
        if scheduled_post_id is None:
            return  # the next tick fans out again
        uow = self.units.join(session, death.context)
        row = await locked(uow, scheduled_post_id)
        now = await database_now(uow)
        if row is not None and _wanted(row, tick, now):
            _plan_next(row, now)


def _plan_next(row: ScheduledPost, now: datetime) -> None:
    wait = next_wait(COMMENTS, now - (row.published_at or now))
    row.next_comments_at = None if wait is None else now + wait


def _wanted(row: ScheduledPost, tick: datetime | None, now: datetime) -> bool:
    """Tell whether this tick is still to be read; the first one (None) is over once there is a next one."""
    if row.status != PostStatus.PUBLISHED or next_wait(COMMENTS, now - (row.published_at or now)) is None:
        return False
    return row.next_comments_at == tick


async def _read(source: Source, external_id: str, began: str | None) -> _Reading:
    comments: list[RemoteComment] = []
    cursor, whole = began, True
    for _ in range(PAGES):
        page = await source.reader.comments(source.grant, external_id, cursor)
        comments += page.comments
        whole = whole and page.whole
        # a network that names the same page as the next one goes in circles
        cursor = page.cursor if page.cursor != cursor else None
        if cursor is None:
            break
    return _Reading(comments, began, cursor, whole)


async def _upsert(uow: UnitOfWork, row: ScheduledPost, comment: RemoteComment, *, own: bool) -> UUID | None:
    """Store a comment; return its id if it is new to us and not our own."""
    told = {
        "author_handle": comment.author_handle,
        "body_text": comment.text[:_MOST_TEXT],
        "permalink": comment.permalink,
        "edited_at": comment.edited_at,
        "removed_at": None,
    }
    fresh = new_id()
    stored = await uow.session.scalar(
        insert(Comment)
        .values(
            id=fresh,
            organization_id=row.organization_id,
            scheduled_post_id=row.id,
            external_id=comment.external_id,
            parent_external_id=comment.parent_external_id,
            author_external_id=comment.author_external_id,
            posted_at=comment.posted_at,
            is_own=own,
            **told,
        )
        .on_conflict_do_update(index_elements=[Comment.scheduled_post_id, Comment.external_id], set_=told)
        .returning(Comment.id)
    )
    return fresh if stored == fresh and not own else None


async def _mark_vanished(uow: UnitOfWork, row: ScheduledPost, seen: set[str]) -> None:
    await uow.session.execute(
        update(Comment)
        .where(Comment.scheduled_post_id == row.id, Comment.removed_at.is_(None), Comment.external_id.not_in(seen))
        .values(removed_at=func.clock_timestamp())
    )
