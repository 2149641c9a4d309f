"""Times that a user reads off the wall: the instant that they stand for follows the rules of their zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import DateTime, Text, bindparam, func, literal, select, update

from domain.models import PostStatus, ScheduledPost

if TYPE_CHECKING:
    from datetime import datetime

    from domain.unit_of_work import UnitOfWork

# Zones differ by hours: whoever looks a day ahead is in time for every change of rules.
_AHEAD = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, and what the user said if it was a time on the wall."""

    instant: datetime
    wall_time: datetime | None = None
    zone: str | None = None


async def moment_of(uow: UnitOfWork, time: datetime, zone: str | None) -> Moment | None:
    """Find the instant of a time on the wall of a zone; None if there is no such zone.

    The database's time zones decide, here and in `keep_wall_times`. A time that the clocks skip is as much later, of
    one that they show twice it is the second.
    """
    if zone is None:
        return Moment(time)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    wall = bindparam("wall", time, type_=DateTime(timezone=False))
    instant = await uow.session.scalar(select(func.timezone(literal(zone, Text), wall, type_=DateTime(timezone=True))))
    return None if instant is None else Moment(instant, time, zone)


async def keep_wall_times(uow: UnitOfWork) -> None:
    """Move posts of the coming day whose zone has got other rules since they were scheduled."""
    instant = func.timezone(ScheduledPost.wall_zone, ScheduledPost.wall_time, type_=DateTime(timezone=True))
    await uow.session.execute(
        update(ScheduledPost)
        .where(
            ScheduledPost.status == PostStatus.SCHEDULED,
            ScheduledPost.scheduled_at > func.clock_timestamp(),
            ScheduledPost.scheduled_at < func.clock_timestamp() + _AHEAD,
            ScheduledPost.wall_zone.is_not(None),
            ScheduledPost.scheduled_at != instant,
        )
        .values(scheduled_at=instant, schedule_version=ScheduledPost.schedule_version + 1)
        .execution_options(synchronize_session=False)
    )
