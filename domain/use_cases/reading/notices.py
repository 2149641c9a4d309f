"""ListNotices, and MarkNoticesRead: what somebody was told in the application.

A notice is its reader's, and of an organization: whoever has left that reads no more of it. Invitations are the
exception, as they come from where one does not belong yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, update

from domain.models import Membership, Notification
from domain.use_cases.notice_texts import INVITED
from domain.use_cases.reading.pages import NotFound, Page, Wanted, page

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class ListNotices:
    """The caller's notices, newest first."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted, *, unread: bool = False) -> Page[Notification]:
        """Return a page of them; ``unread``: of those alone that were not read. Raises `InvalidCursor`."""
        async with self.units.begin(context) as uow:
            query = select(Notification).where(*_own(uow))
            if unread:
                query = query.where(Notification.read_at.is_(None))
            return await page(uow, query, [Notification.created_at, Notification.id], wanted)


@dataclass(frozen=True, slots=True)
class MarkNoticesRead:
    """The caller has read something; once more changes nothing."""

    units: UnitsOfWork

    async def __call__(self, context: Context, notice_id: UUID | None = None) -> None:
        """Mark one notice, or all that there are by now. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            which = _own(uow)
            if notice_id is not None:
                which = (*which, Notification.id == notice_id)
                if await uow.session.scalar(select(Notification.id).where(*which)) is None:
                    raise NotFound(f"there is no notice {notice_id}")
            await uow.session.execute(
                update(Notification)
                .where(*which, Notification.read_at.is_(None))
                .values(read_at=func.clock_timestamp())
                .execution_options(synchronize_session=False)
            )


def _own(uow: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    belongs = select(Membership.user_id).where(
        Membership.user_id == Notification.user_id, Membership.organization_id == Notification.organization_id
    )
    return Notification.user_id == uow.user_id, or_(belongs.exists(), Notification.kind == INVITED)
