"""What recurs: ticks, the code's entries, and what people do to entries at run time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pgqueue.db import Rows

STALE = timedelta(seconds=60)
"""An entry of the code is alive for so long after a worker had it in its code."""
KEEP_LEFT = timedelta(days=30)
"""How long the row of an entry that left the code is kept, with its pause."""
KEEP_RUNS = timedelta(days=2)
"""How long the ledger keeps runs; the last one of each entry stays."""


class Coming(NamedTuple):
    """An entry that is due soon, or whose next run nobody has worked out (``since`` is None)."""

    name: str
    since: datetime | None
    changed_at: datetime
    cron: str | None
    every: timedelta | None
    time_zone: str
    missed: str
    most: int


class Moved(NamedTuple):
    """An entry that this call moved on, and one job it made (or none)."""

    name: str
    missed: int
    tick: datetime | None
    job_id: int | None


class Told(NamedTuple):
    """The answer to a tick, in the database's time."""

    now: datetime
    moved: list[Moved]
    coming: list[Coming]
    any: bool


class ScheduleRow(NamedTuple):
    """An entry as people see it; ``last_…`` is its latest run, ``state`` active, paused or left (the code)."""

    name: str
    kind: str
    queue: str
    organization_id: str
    user_id: str
    args: str
    cron: str | None
    every_seconds: float | None
    time_zone: str
    missed: str
    most: int
    jitter_seconds: float
    source: str
    state: str
    paused_at: datetime | None
    paused_by: str | None
    next_run_at: datetime | None
    changed_at: datetime
    missed_runs: int
    missed_at: datetime | None
    last_run_at: datetime | None
    last_job_id: int | None
    last_asked_by: str | None
    last_outcome: str | None
    now: datetime


class RunRow(NamedTuple):
    """One run in the ledger."""

    tick: datetime
    job_id: int
    fired_at: datetime
    asked_by: str | None
    outcome: str | None


class Overdue(NamedTuple):
    """An entry that should have been fired; ``left``: no living worker has it in its code."""

    name: str
    seconds: float
    left: bool


class Recurrence:
    """The blocks of ``schedules.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def tick(
        self, plan: Iterable[Mapping[str, Any]], unreadable: Iterable[str], *, ahead: timedelta, most: int = 1000
    ) -> Query[Told]:
        """Fire what was planned, and return what comes within ``ahead``."""
        params = {
            "plan": json.dumps(list(plan)),
            "unreadable": list(unreadable),
            "ahead": ahead,
            "stale": STALE,
            "most": most,
        }
        return Query(self._sql["tick_schedules"], _told, params)

    def sync(self, entries: Sequence[Mapping[str, Any]]) -> Query[list[str]]:
        """Say what the code has; returns the names that entries added at run time have taken."""
        params = {"entries": json.dumps(entries), "stale": STALE, "keep": KEEP_LEFT}
        return Query(self._sql["sync_schedules"], _firsts, params)

    def keep(self) -> Query[list[int]]:
        """Note how runs ended, and prune the ledger."""
        return Query(self._sql["keep_schedules"], _firsts, {"keep": KEEP_RUNS})

    def add(self, entry: Mapping[str, Any], *, by: str) -> Query[bool]:
        """Add an entry; False: its name is taken."""
        return Query(self._sql["add_schedule"], bool, {"entry": json.dumps(entry), "by": by})

    def change(self, entry: Mapping[str, Any], *, by: str) -> Query[bool | None]:
        """Change an entry that was added at run time; False: it is so already, None: there is none of this name."""
        params = {"entry": json.dumps(entry), "by": by}
        return Query(self._sql["change_schedule"], lambda rows: rows[0][0] if rows else None, params)

    def remove(self, name: str, *, by: str) -> Query[bool]:
        """Remove an entry; False: there is none, or living workers have it in their code."""
        return Query(self._sql["remove_schedule"], bool, {"name": name, "by": by, "stale": STALE})

    def pause(self, name: str, *, by: str) -> Query[bool]:
        """Pause an entry; False: there is none."""
        return Query(self._sql["pause_schedule"], bool, {"name": name, "by": by})

    def resume(self, name: str, *, by: str) -> Query[bool]:
        """Resume an entry; False: there is none."""
        return Query(self._sql["resume_schedule"], bool, {"name": name, "by": by})

    def run(self, name: str, *, by: str) -> Query[int | None]:
        """Enqueue an entry's job now; None: there is no such entry."""
        return Query(self._sql["run_schedule"], lambda rows: rows[0][0] if rows else None, {"name": name, "by": by})

    def names(self) -> Query[list[str]]:
        """Return the names of all entries."""
        return Query(self._sql["schedule_names"], _firsts)

    def all(self, name: str | None = None) -> Query[list[ScheduleRow]]:
        """Return all entries, or the one of this name."""
        params = {"name": name, "stale": STALE}
        return Query(self._sql["list_schedules"], lambda rows: [ScheduleRow._make(row) for row in rows], params)

    def runs(self, name: str, *, limit: int) -> Query[list[RunRow]]:
        """Return the latest runs of an entry, latest first."""
        params = {"name": name, "limit": limit}
        return Query(self._sql["schedule_runs"], lambda rows: [RunRow._make(row) for row in rows], params)

    def overdue(self, grace: timedelta) -> Query[list[Overdue]]:
        """Return enabled entries that nobody moved for longer than ``grace``, the worst first."""
        params = {"grace": grace, "stale": STALE}
        return Query(self._sql["overdue_schedules"], lambda rows: [Overdue._make(row) for row in rows], params)


def _firsts(rows: Rows) -> list[Any]:
    return [row[0] for row in rows]


def _told(rows: Rows) -> Told:
    told = json.loads(rows[0][0])
    coming = [
        Coming(
            one["name"],
            _moment(one["since"]),
            datetime.fromisoformat(one["changed_at"]),
            one["cron"],
            None if one["every"] is None else timedelta(seconds=one["every"]),
            one["time_zone"],
            one["missed"],
            one["most"],
        )
        for one in told["coming"]
    ]
    moved = [Moved(name, missed, _moment(tick), job) for name, missed, tick, job in told["fired"]]
    return Told(datetime.fromisoformat(told["now"]), moved, coming, told["any"])


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
