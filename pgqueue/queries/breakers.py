"""Circuit breakers: what processes share, and what people see and do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID


class Unwell(NamedTuple):
    """A breaker that is not closed, or has failures; ``left``: seconds until a call (or another probe) may be tried.

    ``left`` is None when a person opened it until somebody closes it.
    """

    dependency: str
    host: str
    state: str
    failures: int
    left: float | None


class BreakerRow(NamedTuple):
    """All that is known of one breaker."""

    dependency: str
    host: str
    state: str
    failures: int
    opened_at: datetime | None
    open_until: datetime | None
    probe_until: datetime | None
    last_error: str | None
    changed_at: datetime
    changed_by: str
    open_seconds: float | None
    left_seconds: float | None


class BreakerQueries:
    """The blocks of ``breakers.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def _one(self, block: str, name: tuple[str, str], **params: object) -> Query[bool]:
        """Return a query that tells whether it changed the row."""
        return Query(self._sql[block], bool, {"dependency": name[0], "host": name[1], **params})

    def unwell(self) -> Query[list[Unwell]]:
        """Return every breaker that is not closed or has failures."""
        return Query(self._sql["read_breakers"], lambda rows: [Unwell._make(row) for row in rows])

    def count_failure(self, name: tuple[str, str], error: str) -> Query[int]:
        """Count one more failure; returns how many there are in a row, over all processes."""
        params = {"dependency": name[0], "host": name[1], "error": error}
        return Query(self._sql["count_failure"], lambda rows: rows[0][0], params)

    def clear_failures(self, name: tuple[str, str]) -> Query[bool]:
        """Begin to count anew: a call succeeded."""
        return self._one("clear_failures", name)

    def trip(self, name: tuple[str, str], reset: timedelta) -> Query[bool]:
        """Open a closed circuit; False: somebody else did."""
        return self._one("trip_breaker", name, reset=reset)

    def take_probe(self, name: tuple[str, str], probe: UUID, lasts: timedelta) -> Query[bool]:
        """Become the one call that may probe; False: it is not due, or another call probes."""
        return self._one("take_probe", name, probe=probe, lasts=lasts)

    def end_probe(self, name: tuple[str, str], probe: UUID, reset: timedelta, *, good: bool) -> Query[bool]:
        """Close the circuit, or open it for another ``reset``; False: the probe is no longer this call's."""
        return self._one("end_probe", name, probe=probe, reset=reset, good=good)

    def find(
        self, *, limit: int = 1000, dependency: str | None = None, host: str | None = None
    ) -> Query[list[BreakerRow]]:
        """Find breakers, those that are not closed first."""
        params = {"limit": limit, "dependency": dependency, "host": host}
        return Query(self._sql["find_breakers"], lambda rows: [BreakerRow._make(row) for row in rows], params)

    def open(self, name: tuple[str, str], *, lasts: timedelta | None, by: str) -> Query[bool]:
        """Open it by hand for so long (None: until somebody closes it)."""
        return self._one("open_breaker", name, lasts=lasts, by=by)

    def close(self, name: tuple[str, str], *, by: str) -> Query[bool]:
        """Close it by hand; False: no such breaker."""
        return self._one("close_breaker", name, by=by)

    def reset(self, name: tuple[str, str], *, by: str) -> Query[bool]:
        """Forget it; False: no such breaker."""
        return self._one("reset_breaker", name, by=by)
