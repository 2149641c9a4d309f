"""A second chance for a publication, and its burial: RetryPublication, RetryPublish, BuryPublication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.jobs import RetryPublishJob
from domain.models import PostStatus, new_id, transition
from domain.use_cases.publications import (
    DEAD_LETTER,
    IN_FLIGHT,
    attempts_of,
    fail,
    leave_unconfirmed,
    locked,
    unresolved,
)

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.jobs import RetryCause
    from domain.models import ScheduledPost
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.publishing import PublishScheduledPost
    from pgqueue import Context, Death, JobContext, Outcome


class UnknownPublication(Exception):
    """There is no such scheduled post in this organization."""


@dataclass(frozen=True, slots=True)
class RetryPublication:
    """A user wants a failed or unconfirmed publication tried again."""

    units: UnitsOfWork

    async def __call__(self, context: Context, scheduled_post_id: UUID, *, force: bool = False) -> int:
        """Dispatch the retry and return the job's id; a second press finds the post dispatched and is refused.

        With ``force`` a human takes the risk of a second post: what an earlier call may have done is forgotten.
        """
        async with self.units.begin(context) as uow:
            row = await locked(uow, scheduled_post_id)
            if row is None:
                raise UnknownPublication(f"scheduled post {scheduled_post_id} does not exist in this organization")
            if force:
                row.publish_key, row.remote_plan = new_id(), {}
                for attempt in unresolved(await attempts_of(uow, row)):
                    attempt.outcome, attempt.error_code = "transient", "overruled"
            return await dispatch_retry(uow, row, "user", context)


async def dispatch_retry(uow: UnitOfWork, row: ScheduledPost, cause: RetryCause, context: Context) -> int:
    """Give a post that has ended badly another try; return the job's id."""
    transition(row, PostStatus.DISPATCHED)
    row.failure_code = row.failure_message = None
    row.retry_no += 1
    job = RetryPublishJob(scheduled_post_id=row.id, cause=cause, retry_no=row.retry_no)
    return await uow.dispatch(job, context=context)


@dataclass(frozen=True, slots=True)
class RetryPublish:
    """Do what the retry's job is for: find out what an open call did, then publish if it did nothing."""

    publish_scheduled_post: PublishScheduledPost

    async def __call__(self, ctx: JobContext, scheduled_post_id: UUID) -> Outcome | None:
        """Publish, whichever version of the schedule there is."""
        return await self.publish_scheduled_post(ctx, scheduled_post_id, None)


@dataclass(frozen=True, slots=True)
class BuryPublication:
    """The job died: say truthfully what is known of the post, in the burying transaction."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, scheduled_post_id: UUID | None, death: Death) -> None:
        """Leave the row `unconfirmed` if a call may have worked, else `failed`; a sweep has none."""
        if scheduled_post_id is None:
            return
        uow = self.units.join(session, death.context)
        row = await locked(uow, scheduled_post_id)
        if row is None or row.status not in IN_FLIGHT:
            return
        end = leave_unconfirmed if unresolved(await attempts_of(uow, row)) else fail
        await end(uow, row, code=DEAD_LETTER, message=f"{death.reason}: {death.error}")
