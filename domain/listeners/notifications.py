"""What follows from notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import NotifyPublishResultJob

if TYPE_CHECKING:
    from domain.events import NoticeLeft
    from domain.unit_of_work import UnitOfWork


async def mail(uow: UnitOfWork, event: NoticeLeft) -> None:
    """Have it mailed."""
    await uow.dispatch(NotifyPublishResultJob(recipient_id=event.user_id, notice_id=event.notice_id))
