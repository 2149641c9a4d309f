"""Bad news that comes in crowds: the first few of an hour are mailed at once, the others together at its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from domain.models import Notification

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from domain.unit_of_work import UnitOfWork

AT_ONCE = 3
"""So many mails a user gets in an hour before the others are put together."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Digest:
    """What a user is told in one mail at the end of an hour."""

    user_id: UUID
    begins: datetime
    count: int

    @property
    def ends(self) -> datetime:
        """When it is sent."""
        return self.begins + _HOUR

    @property
    def key(self) -> str:
        """The same for every notice that is in it."""
        return f"mail:digest:{self.user_id}:{self.begins.isoformat()}"


async def digest_of(uow: UnitOfWork, user_id: UUID, dedupe_key: str, kinds: tuple[str, ...]) -> Digest | None:
    """Find the digest that a stored notice belongs to; None if it is one of the first of its hour."""
    mine = await uow.session.scalar(
        select(Notification).where(Notification.user_id == user_id, Notification.dedupe_key == dedupe_key)
    )
    if mine is None:
        return None
    begins = mine.created_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    of_the_hour = (
        Notification.user_id == user_id,
        Notification.kind.in_(kinds),
        Notification.created_at >= begins,
        Notification.created_at < begins + _HOUR,
    )
    before = await _count(uow, *of_the_hour, Notification.id < mine.id)
    return Digest(user_id, begins, await _count(uow, *of_the_hour) - AT_ONCE) if before >= AT_ONCE else None


async def _count(uow: UnitOfWork, *conditions: ColumnElement[bool]) -> int:
    return await uow.session.scalar(select(func.count()).select_from(Notification).where(*conditions)) or 0
