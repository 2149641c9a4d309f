"""What becomes of an entry at its next tick, worked out before it comes. Pure: it is handed the database's time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pgqueue.timing import passed, timing

if TYPE_CHECKING:
    from pgqueue.queries.schedules import Coming

GRACE = timedelta(seconds=60)
"""A tick that becomes a job at most so late was not missed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """From ``at`` on and before ``until``: make these ticks jobs, count the missed ones, go on to ``next``."""

    row: Coming
    at: datetime
    until: datetime
    next: datetime
    ticks: tuple[datetime, ...] = ()
    missed: int = 0
    first: datetime | None = None
    """The first of the missed ticks."""

    def record(self) -> dict[str, Any]:
        """Return the plan as the database takes it."""
        return {
            "name": self.row.name,
            "since": None if self.row.since is None else self.row.since.isoformat(),
            "at": self.at.isoformat(),
            "until": self.until.isoformat(),
            "next": self.next.isoformat(),
            "missed": self.missed,
            "ticks": [tick.isoformat() for tick in self.ticks],
        }


def planned(row: Coming, now: datetime) -> Plan:
    """Work out the next step of an entry. Raises ConfigurationError for one that cannot be read here."""
    when = timing(row.cron, row.every, row.time_zone)
    first = row.since or when.after(row.changed_at)
    if first > now and row.since is None:
        return Plan(row, at=now, until=first, next=first)  # nothing is due; the next run becomes visible
    if first > now:
        following = when.after(first)
        return Plan(row, at=first, until=min(following, first + GRACE), next=following, ticks=(first,))
    count, latest = passed(when, first, now, row.most if row.missed == "all" else 1)
    last = latest[-1]
    on_time = sum(now - tick <= GRACE for tick in latest)
    following = when.after(last)
    return Plan(
        row,
        at=last,
        until=min(following, last + GRACE) if on_time else following,
        next=following,
        ticks=tuple(latest) if on_time or row.missed != "skip" else (),
        missed=count - on_time,
        first=first,
    )
