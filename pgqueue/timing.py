"""When an entry is due: a cron expression in a time zone, or a fixed interval. Pure arithmetic, no clock of its own.

A library does the calendar, in wall time that knows no zone; its own walk through a zone loses times where the clock
changes by half an hour, and has no rule for six fields. What the zone's clock does to wall times is decided here:

- an entry at fixed times (neither minute nor hour begins with `*`) runs once for each wall time: the first time it is
  shown, or, when the clock jumps over it, at the moment of the jump;
- any other entry runs whenever the clock shows a time that fits: twice in an hour that is repeated, not at all in an
  hour that is skipped.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = datetime(9998, 12, 31, tzinfo=UTC)
"""What stands for the next run of an entry that has none."""
COUNTED = 1000
"""Runs that have passed are counted up to this many."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)
_SECOND, _WEEK = timedelta(seconds=1), timedelta(days=7)
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=3650)
_LONGEST_EXPRESSION = 200
_FIELDS = (5, 6)
# How far back to look for the latest runs: each span holds few runs of an entry that the one before held none of.
_SPANS = tuple(timedelta(**span) for span in ({"minutes": 20}, {"hours": 20}, {"days": 45}, {"days": 1500}))


class Timing(Protocol):
    """When an entry is due."""

    def after(self, moment: datetime) -> datetime:
        """Return the first run after ``moment``, in UTC; `NEVER` if there is none."""


class Every:
    """A run at each multiple of an interval since 1970-01-01 00:00 UTC, so that all workers agree on it."""

    def __init__(self, length: timedelta) -> None:
        """Refuse lengths that no worker could keep."""
        if not _SHORTEST <= length <= _LONGEST:
            raise ConfigurationError(f"every is {length}; it must lie between 1 second and 3650 days")
        self.length = length

    def after(self, moment: datetime) -> datetime:
        """Return the next multiple."""
        return _EPOCH + ((moment - _EPOCH) // self.length + 1) * self.length


class Cron:
    """A cron expression of five fields, or six with seconds first, in a time zone."""

    def __init__(self, expression: str, time_zone: str = "UTC") -> None:
        """Parse both.

        Raises:
            ConfigurationError: unreadable, never due, an unknown zone, or the extra "cron" is not installed.

        """
        self.expression = " ".join(expression.split())
        fields = self.expression.split(" ")
        if len(self.expression) > _LONGEST_EXPRESSION or len(fields) not in _FIELDS:
            raise ConfigurationError(
                f"cron is {expression[:_LONGEST_EXPRESSION]!r}; write five fields (minute hour day month weekday), "
                f'such as "30 2 * * *", or six with the second first, in at most {_LONGEST_EXPRESSION} characters'
            )
        self.zone = zone(time_zone)
        self._fixed = not (fields[-5].startswith("*") or fields[-4].startswith("*"))
        if next(self._walls(_REFERENCE.replace(tzinfo=None)), None) is None:
            raise ConfigurationError(f"cron is {self.expression!r}, which is due at no time; give days that exist")

    def after(self, moment: datetime) -> datetime:
        """Return the first run after ``moment``, in UTC."""
        moment = moment.astimezone(UTC)
        return self._once_for_each(moment) if self._fixed else self._whenever_shown(moment)

    def _once_for_each(self, moment: datetime) -> datetime:
        for wall in self._walls(moment.astimezone(self.zone).replace(tzinfo=None)):
            reached = self._reached(wall)
            if reached > moment:
                return reached
        return NEVER

    def _reached(self, wall: datetime) -> datetime:
        """Return when the clock shows or passes this wall time for the first time."""
        shown = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if shown.astimezone(self.zone).replace(tzinfo=None) == wall:
            return shown
        # Skipped: read with the offset after the jump it lies before the jump, and the other way round.
        return self._bisect(wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC), shown)

    def _whenever_shown(self, moment: datetime) -> datetime:
        start = moment
        while True:
            offset = self._offset(moment)
            wall = next(self._walls(start.replace(tzinfo=None) + offset), None)
            if wall is None:
                return NEVER
            found = wall.replace(tzinfo=UTC) - offset
            change = self._change(moment, found)
            if change is None:
                return found
            moment, start = change, change - _SECOND  # the first time that fits from the change on

    def _change(self, low: datetime, high: datetime) -> datetime | None:
        """Return the first change of the zone's offset after ``low`` and not after ``high``."""
        offset = self._offset(low)
        while low < high:
            step = min(low + _WEEK, high)
            if self._offset(step) != offset:
                return self._bisect(low, step)
            low = step
        return None

    def _bisect(self, low: datetime, high: datetime) -> datetime:
        """Return the second at which the offset becomes another than that of ``low``."""
        low = low.replace(microsecond=0)
        offset = self._offset(low)
        before, behind = 0, -((low - high) // _SECOND)
        while behind - before > 1:
            middle = (before + behind) // 2
            if self._offset(low + middle * _SECOND) == offset:
                before = middle
            else:
                behind = middle
        return low + behind * _SECOND

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta()

    def _walls(self, wall: datetime) -> Iterator[datetime]:
        """Yield the wall times that fit, after ``wall``."""
        try:
            from cronsim import CronSim, CronSimError
        except ImportError:
            raise ConfigurationError(
                'cron needs a library that is not installed: pip install "pgqueue-jobs[cron]"'
            ) from None
        try:
            yield from CronSim(self.expression, wall)
        except (CronSimError, ValueError, AssertionError) as error:
            raise ConfigurationError(
                f"cron is {self.expression!r}: {str(error) or 'it cannot be read'}; write five fields (minute hour day "
                "month weekday), or six with the second first, with days that exist"
            ) from None
        except OverflowError:
            return


def zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database. Raises ConfigurationError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise ConfigurationError(
            f"unknown time zone {name!r}; give a name of the IANA database, such as Europe/Warsaw or America/Sao_Paulo "
            '(none is known? pip install "pgqueue-jobs[cron]" brings them)'
        ) from None


@lru_cache(4096)
def timing(cron: str | None, every: timedelta | None, time_zone: str) -> Timing:
    """Return the timing of an entry. Raises ConfigurationError."""
    if every is not None:
        return Every(every)
    return Cron(cron or "", time_zone)


def passed(when: Timing, first: datetime, now: datetime, keep: int = 1) -> tuple[int, list[datetime]]:
    """Return how many runs there were from ``first`` to ``now`` (counted to `COUNTED`), and the latest of them."""
    latest: deque[datetime] = deque(maxlen=keep)
    count, tick = 0, first
    while tick <= now and count < COUNTED:
        latest.append(tick)
        count += 1
        tick = when.after(tick)
    if tick <= now:
        return count, _latest(when, first, now, keep)
    return count, list(latest)


def _latest(when: Timing, first: datetime, now: datetime, keep: int) -> list[datetime]:
    """Return the latest runs without walking through all of them."""
    latest: deque[datetime] = deque(maxlen=keep)
    for span in _SPANS:
        latest.clear()
        tick = when.after(max(first - _SECOND, now - span))
        while tick <= now:
            latest.append(tick)
            tick = when.after(tick)
        if len(latest) == keep:
            break
    return list(latest)
