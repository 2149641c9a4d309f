"""Posts that nobody would come back to: SweepStuckPosts, ResumePublications, and which of the two a job means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import ARRAY, Select, Text, bindparam, func, select, text

from domain.jobs import ProcessScheduledPostJob, RetryPublishJob
from domain.models import AccountStatus, Organization, PostMedia, PostStatus, ScheduledPost, SocialAccount, transition
from domain.use_cases.accounts.giving_up import abandon_some
from domain.use_cases.attachments import UNSCANNED
from domain.use_cases.publications import DEAD_LETTER, IN_FLIGHT, database_now
from domain.use_cases.renewing import REAUTH, pause_some
from domain.use_cases.retrying import dispatch_retry
from domain.use_cases.walltimes import keep_wall_times
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.jobs import RetryCause
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

STUCK_AFTER = timedelta(minutes=10)
# Beyond that a post that nobody published is old news, and publishing it would surprise its author.
RECENT = timedelta(hours=24)
MOST = 500
# Only posts without one of these are stuck; a job may wait for hours for a network that asked for it.
_WITH_A_JOB = text(
    """SELECT args ->> 'scheduled_post_id' FROM pgqueue.all_jobs
    WHERE kind = ANY(:kinds) AND state IN ('enqueued', 'waiting', 'ready', 'held', 'running')
      AND args ->> 'scheduled_post_id' = ANY(:ids)"""
).bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Text)))
_KINDS = [ProcessScheduledPostJob.kind, RetryPublishJob.kind]


@dataclass(frozen=True, slots=True)
class SweepStuckPosts:
    """Give every post that is in flight, and has no job that would bring it down, a job."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> None:
        """Sweep one batch, oldest first."""
        async with ctx.transaction() as session:
            await self.within(self.units.join(session, ctx.context))

    async def within(self, uow: UnitOfWork) -> int:
        """Sweep in this transaction; return how many got a job."""
        await keep_wall_times(uow)
        doubtful = await self._doubtful(uow)
        for row in doubtful:
            await dispatch_retry(uow, row, "reconcile", _context_of(row))
        return len(doubtful) + await self._in_flight(uow)

    async def _in_flight(self, uow: UnitOfWork) -> int:
        rows = await self._candidates(uow)
        if not rows:
            return 0
        ids = [str(row.id) for row in rows]
        cared_for = set(await uow.session.scalars(_WITH_A_JOB, {"kinds": _KINDS, "ids": ids}))
        stuck = [row for row in rows if str(row.id) not in cared_for]
        for row in stuck:
            row.retry_no += 1
            await uow.dispatch(
                RetryPublishJob(scheduled_post_id=row.id, cause="sweeper", retry_no=row.retry_no),
                context=_context_of(row),
            )
        return len(stuck)

    async def _doubtful(self, uow: UnitOfWork) -> Sequence[ScheduledPost]:
        """Find what an outage left unconfirmed: the network may be able to tell by now. Once, then a human decides."""
        found = await uow.session.scalars(
            select(ScheduledPost)
            .where(
                ScheduledPost.status == PostStatus.UNCONFIRMED,
                ScheduledPost.failure_code == DEAD_LETTER,
                ScheduledPost.retry_no == 0,
                ScheduledPost.updated_at < func.clock_timestamp() - STUCK_AFTER,
                ScheduledPost.scheduled_at > func.clock_timestamp() - RECENT,
            )
            .order_by(ScheduledPost.updated_at)
            .limit(MOST)
            .with_for_update(skip_locked=True)
        )
        return found.all()

    async def _candidates(self, uow: UnitOfWork) -> Sequence[ScheduledPost]:
        found = await uow.session.scalars(
            select(ScheduledPost)
            .where(
                ScheduledPost.status.in_(IN_FLIGHT),
                ScheduledPost.updated_at < func.clock_timestamp() - STUCK_AFTER,
                ScheduledPost.scheduled_at < func.clock_timestamp() - STUCK_AFTER,
            )
            .order_by(ScheduledPost.updated_at)
            .limit(MOST)
            .with_for_update(skip_locked=True)
        )
        return found.all()


@dataclass(frozen=True, slots=True)
class ResumePublications:
    """What stood in the way of posts is gone, or has come: an account can be used again or no more, a file is clean."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext, subject_id: UUID, *, cause: RetryCause) -> None:
        """Let paused posts go on, and try again what failed for this reason within the last day.

        Posts of an account that has to be connected again are paused instead, and those of one that was given up end.
        A slice at a time: the next one is a job of its own.
        """
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            now = await database_now(uow)
            if cause == "reauth":
                await self._follow(uow, subject_id, now)
            elif cause == "media":
                await self._cleared(uow, subject_id, now)

    async def _follow(self, uow: UnitOfWork, account_id: UUID, now: datetime) -> None:
        # locked: it does not change before what follows from its state is written down
        account = await uow.session.get(SocialAccount, account_id, with_for_update={"read": True})
        if account is None or account.organization_id != uow.organization_id:
            return
        more = False
        if account.status == AccountStatus.NEEDS_REAUTH:
            more = await pause_some(uow, account)
        elif account.status == AccountStatus.REVOKED:
            more = await abandon_some(uow, account)
        elif account.status == AccountStatus.ACTIVE:
            more = await self._reconnected(uow, account_id, now)
        if more:
            await uow.dispatch(RetryPublishJob(cause="reauth", subject_id=account_id))

    async def _reconnected(self, uow: UnitOfWork, account_id: UUID, now: datetime) -> bool:
        """Failed posts come back only where the organization chose so: nobody expects last night's by itself."""
        of_account = select(ScheduledPost).where(
            ScheduledPost.organization_id == uow.organization_id,
            ScheduledPost.social_account_id == account_id,
        )
        paused = of_account.where(ScheduledPost.status == PostStatus.PAUSED, ScheduledPost.paused_reason == REAUTH)
        rows = await uow.session.scalars(paused.order_by(ScheduledPost.scheduled_at).limit(MOST).with_for_update())
        resumed = rows.all()
        for row in resumed:
            transition(row, PostStatus.SCHEDULED if row.scheduled_at > now else PostStatus.MISSED)
            row.paused_from = row.paused_reason = None
        if len(resumed) == MOST:
            return True
        organization = await uow.session.get_one(Organization, uow.organization_id)
        if organization.retry_after_reconnect:
            refused = ("http_401", "ExpiredToken", "InvalidToken", "graph_190", "account_needs_reauth")
            await self._retry(uow, of_account.where(ScheduledPost.failure_code.in_(refused)), now, "reauth")
        return False

    async def _cleared(self, uow: UnitOfWork, media_id: UUID, now: datetime) -> None:
        with_the_file = select(ScheduledPost).where(
            ScheduledPost.organization_id == uow.organization_id,
            ScheduledPost.post_id.in_(select(PostMedia.post_id).where(PostMedia.media_id == media_id)),
            ScheduledPost.failure_code == UNSCANNED,
        )
        await self._retry(uow, with_the_file, now, "media")

    async def _retry(
        self,
        uow: UnitOfWork,
        wanted: Select[ScheduledPost],
        now: datetime,
        cause: Literal["reauth", "media"],
    ) -> None:
        recent = wanted.where(ScheduledPost.status == PostStatus.FAILED, ScheduledPost.scheduled_at > now - RECENT)
        for row in await uow.session.scalars(recent.order_by(ScheduledPost.scheduled_at).limit(MOST).with_for_update()):
            await dispatch_retry(uow, row, cause, _context_of(row))


@dataclass(frozen=True, slots=True)
class FindPublications:
    """The posts of an account or a file, or all that are stuck."""

    resume_publications: ResumePublications
    sweep_stuck_posts: SweepStuckPosts

    async def __call__(self, ctx: JobContext, *, cause: RetryCause, subject_id: UUID | None) -> None:
        """Find those that are meant, and give each a job."""
        if subject_id is None:
            await self.sweep_stuck_posts(ctx)
        else:
            await self.resume_publications(ctx, subject_id, cause=cause)


def _context_of(row: ScheduledPost) -> Context:
    return Context(str(row.organization_id), str(row.created_by))
