"""CleanupSuspendedOrgs: mark what has been suspended for a month. It deletes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from domain.events import OrgMarkedForDeletion
from domain.jobs import CleanupSuspendedOrgsJob
from domain.models import (
    AuditEntry,
    Organization,
    OrganizationStatus,
    transition,
)
from domain.use_cases.auditing import audit
from domain.use_cases.clock import database_now
from domain.use_cases.notices import give_notice, owners
from pgqueue import Context

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext

SUSPENDED_FOR: Final = timedelta(days=30)
GRACE: Final = timedelta(days=30)
SLICE: Final = 25
# A clock that is wrong, or a mass suspension by mistake, must not mark a whole platform in one night.
MOST_A_DAY: Final = 100
_A_DAY: Final = timedelta(hours=20)  # ticks are not to the second
MARKED: Final = "organization.marked_for_deletion"


@dataclass(frozen=True, slots=True)
class CleanupSuspendedOrgs:
    """Mark organizations that were suspended more than 30 days ago; their owners have 30 days to object."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext, *, part: int) -> None:
        """Mark one slice together with the job's completion; the next slice is a job of its own."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            now = await database_now(uow)
            marked = await session.scalar(
                select(func.count())
                .select_from(AuditEntry)
                .where(AuditEntry.at > now - _A_DAY, AuditEntry.action == MARKED)
            )
            room = max(MOST_A_DAY - (marked or 0), 0)
            found = await session.scalars(_due(now).limit(SLICE).with_for_update(key_share=True, skip_locked=True))
            due = found.all()
            for row in due[:room]:
                await self._mark(uow, row, now + GRACE, ctx)
            if len(due) > room:
                ctx.log.error("organizations.too_many_to_mark", markedToday=MOST_A_DAY, leftOver=len(due) - room)
            elif len(due) == SLICE:
                await uow.dispatch(CleanupSuspendedOrgsJob(part=part + 1))

    async def _mark(self, uow: UnitOfWork, row: Organization, due_at: datetime, ctx: JobContext) -> None:
        transition(row, OrganizationStatus.PENDING_DELETION)
        row.deletion_due_at = due_at
        own = uow.within(Context(str(row.id), ctx.user_id, ctx.correlation_id))
        audit(own, MARKED, ("organization", row.id), ctx=ctx)
        await give_notice(
            own,
            await owners(own),
            "organization_marked_for_deletion",
            key=f"marked:{row.suspension_id}",  # the same suspension is told once
            organization=row.name,
            day=due_at.date().isoformat(),
        )
        await own.publish(OrgMarkedForDeletion(organization_id=row.id, due_at=due_at))


def _due(now: datetime) -> Select[Organization]:
    return (
        select(Organization)
        .where(
            Organization.status == OrganizationStatus.SUSPENDED,
            Organization.suspended_at < now - SUSPENDED_FOR,
        )
        .order_by(Organization.suspended_at)
    )
