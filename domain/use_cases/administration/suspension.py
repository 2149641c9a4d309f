"""SuspendOrganization, ReinstateOrganization, PauseOrgScheduledPosts and ResumeOrgPosts.

The posts follow by job, slice by slice. All of them lock the organization's row first, so that none works on what
another has just decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.events import OrgReinstated, OrgSuspended, PostsPaused, PostsResumed
from domain.jobs import PauseOrgScheduledPostsJob
from domain.models import Organization, OrganizationStatus, PostStatus, ScheduledPost, new_id, transition
from domain.use_cases.administration.operators import UnknownSubject, require_operator
from domain.use_cases.auditing import audit
from domain.use_cases.clock import database_now
from domain.use_cases.publications import SUSPENDED, pause_for_suspension
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext, Outcome

SLICE = 500
_NOT_STARTED = (PostStatus.SCHEDULED, PostStatus.DISPATCHED)


@dataclass(frozen=True, slots=True)
class SuspendOrganization:
    """An operator stops an organization's work."""

    units: UnitsOfWork

    async def __call__(self, context: Context, organization_id: UUID, *, reason: str) -> None:
        """Stop what has not begun. Raises `Forbidden`, `UnknownSubject`, `IllegalTransition`."""
        async with self.units.begin(_for(context, organization_id)) as uow:
            await require_operator(uow)
            row = await locked_organization(uow)
            transition(row, OrganizationStatus.SUSPENDED)
            row.suspension_id, row.suspended_at, row.suspension_reason = new_id(), func.clock_timestamp(), reason
            audit(uow, "organization.suspended", ("organization", row.id))
            await uow.publish(OrgSuspended(organization_id=row.id, suspension_id=row.suspension_id))


@dataclass(frozen=True, slots=True)
class ResumeOrgPosts:
    """Let go on what a suspension had paused."""

    units: UnitsOfWork

    async def __call__(
        self, ctx: JobContext, suspension_id: UUID, reinstated_at: datetime, *, part: int
    ) -> Outcome | None:
        """Schedule one slice of what is still ahead; what has passed is `missed`, never a burst of old posts."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            row = await locked_organization(uow)
            if row.status != OrganizationStatus.ACTIVE:
                return None  # suspended again meanwhile: what is paused stays so until that is over
            posts = await _slice(uow, (PostStatus.PAUSED,))
            missed = 0
            for post in posts:
                # what was ahead when the organization could work again is not missed because it waits for this job
                ahead = post.scheduled_at > reinstated_at
                transition(post, PostStatus.SCHEDULED if ahead else PostStatus.MISSED)
                post.paused_from = post.paused_reason = None
                missed += not ahead
            if posts:
                resumed = len(posts) - missed
                audit(uow, "posts.resumed", ("organization", row.id), ctx=ctx, posts=resumed, missed=missed)
                await uow.publish(PostsResumed(organization_id=row.id, count=resumed, missed=missed))
            if len(posts) == SLICE:
                following = PauseOrgScheduledPostsJob(
                    suspension_id=suspension_id, reinstated_at=reinstated_at, part=part + 1
                )
                await uow.dispatch(following)
        return None


@dataclass(frozen=True, slots=True)
class PauseOrgScheduledPosts:
    """Pause what a suspended organization had scheduled; what is being published finishes."""

    units: UnitsOfWork
    resume_org_posts: ResumeOrgPosts

    async def __call__(
        self, ctx: JobContext, suspension_id: UUID, reinstated_at: datetime | None, *, part: int
    ) -> Outcome | None:
        """Pause one slice together with the job's completion; the next slice is a job of its own.

        ``reinstated_at``: the suspension is over since then, and the slice is let go on instead.
        """
        if reinstated_at is not None:
            return await self.resume_org_posts(ctx, suspension_id, reinstated_at, part=part)
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            row = await locked_organization(uow)
            if row.status == OrganizationStatus.ACTIVE or row.suspension_id != suspension_id:
                return None  # reinstated meanwhile, and perhaps suspended again: that has a job of its own
            posts = await _slice(uow, _NOT_STARTED)
            for post in posts:
                pause_for_suspension(post)
            if posts:
                audit(uow, "posts.paused", ("organization", row.id), ctx=ctx, posts=len(posts))
                await uow.publish(PostsPaused(organization_id=row.id, reason=SUSPENDED, count=len(posts)))
            if len(posts) == SLICE:
                await uow.dispatch(PauseOrgScheduledPostsJob(suspension_id=suspension_id, part=part + 1))
        return None


@dataclass(frozen=True, slots=True)
class ReinstateOrganization:
    """An operator lets an organization work again, also one that was to be deleted."""

    units: UnitsOfWork

    async def __call__(self, context: Context, organization_id: UUID) -> None:
        """Reinstate it; a job lets its posts go on. Raises `Forbidden`, `UnknownSubject`, `IllegalTransition`."""
        async with self.units.begin(_for(context, organization_id)) as uow:
            await require_operator(uow)
            row = await locked_organization(uow)
            suspension_id = row.suspension_id
            if suspension_id is None:
                raise UnknownSubject(f"organization {organization_id} is not suspended")
            transition(row, OrganizationStatus.ACTIVE)
            row.suspension_id = row.suspended_at = row.suspension_reason = row.deletion_due_at = None
            audit(uow, "organization.reinstated", ("organization", row.id))
            now = await database_now(uow)
            await uow.publish(OrgReinstated(organization_id=row.id, suspension_id=suspension_id, at=now))


async def locked_organization(uow: UnitOfWork) -> Organization:
    """Load the tenant and keep its row locked until the transaction ends. Raises `UnknownSubject`."""
    row = await uow.session.get(Organization, uow.organization_id, with_for_update={"key_share": True})
    if row is None:
        raise UnknownSubject(f"there is no organization {uow.organization_id}")
    return row


def _for(context: Context, organization_id: UUID) -> Context:
    """Return the operator's context in the tenant that it is about: what follows belongs to that tenant."""
    return Context(str(organization_id), context.user_id, context.correlation_id)


async def _slice(uow: UnitOfWork, statuses: Sequence[PostStatus]) -> Sequence[ScheduledPost]:
    """Lock the next rows in these states; of the paused ones those that the suspension paused."""
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == uow.organization_id,
            ScheduledPost.status.in_(statuses),
            (ScheduledPost.status != PostStatus.PAUSED) | (ScheduledPost.paused_reason == SUSPENDED),
        )
        .order_by(ScheduledPost.id)
        .limit(SLICE)
        .with_for_update()
    )
    return found.all()
