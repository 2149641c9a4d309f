"""Limits, orders and weights that are set at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pgqueue.db import Rows

MOST = 1_000
_RECALLED = 1_000  # jobs in one transaction
_LOOKED_AT = 10_000  # jobs, for the kinds that there are


class LimitRow(NamedTuple):
    """One key, or a name that nothing counts against now."""

    key: str
    running: int | None
    rate: str | None
    taken: int
    held: int
    set_by: str | None
    set_at: datetime | None


class WeightRow(NamedTuple):
    """The share of an organization; without a row it is 1."""

    organization_id: str
    weight: int
    set_by: str | None
    set_at: datetime


class Limits:
    """The blocks of ``limits.sql`` and ``fairness.sql`` that people use, for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapters."""
        self._sql = load(schema).statements

    def set_limit(self, name: str, *, running: int | None = None, rate: str | None = None, by: str) -> Query[int]:
        """Let so many of a name, key, kind or queue run, or start; returns how many keys are looked at again."""
        return Query(self._sql["set_limit"], _first, {"name": name, "running": running, "rate": rate, "by": by})

    def take(self, key: str, spec: str, weight: int) -> Query[timedelta]:
        """Take units of a rate; returns how long to wait if they are not there."""
        return Query(self._sql["take"], lambda rows: rows[0][0], {"key": key, "spec": spec, "weight": weight})

    def unset_limit(self, name: str, *, by: str) -> Query[bool]:
        """Leave it to the class again; False: nothing was set."""
        return Query(self._sql["unset_limit"], bool, {"name": name, "by": by})

    def recall(self, name: str) -> Query[bool]:
        """Hold a batch of a limited queue's or kind's jobs that stand in line; True: there may be more."""
        params = {"name": name, "batch": _RECALLED}
        return Query(self._sql["recall"], lambda rows: _first(rows) >= _RECALLED, params)

    def limit_list(self) -> Query[list[LimitRow]]:
        """Return what is limited, fullest first."""
        return Query(self._sql["limit_list"], lambda rows: [LimitRow._make(row) for row in rows], {"limit": MOST})

    def names(self) -> Query[list[str]]:
        """Return the names that something counts against, or would if they were limited."""
        return Query(self._sql["limit_names"], lambda rows: [row[0] for row in rows], {"most": _LOOKED_AT})

    def set_order(self, queue: str, order: str | None, *, by: str) -> Query[bool]:
        """Set a queue's order at run time (None: leave it to the settings); False: no such queue."""
        return Query(self._sql["set_order"], bool, {"queue": queue, "order": order, "by": by})

    def set_weight(self, organization_id: str, weight: int, *, by: str) -> Query[int]:
        """Give an organization so many shares."""
        params = {"organization_id": organization_id, "weight": weight, "by": by}
        return Query(self._sql["set_weight"], _first, params)

    def unset_weight(self, organization_id: str, *, by: str) -> Query[bool]:
        """Give it one share again; False: it had no other."""
        return Query(self._sql["unset_weight"], bool, {"organization_id": organization_id, "by": by})

    def weight_list(self) -> Query[list[WeightRow]]:
        """Return the organizations with a weight of their own, heaviest first."""
        return Query(self._sql["weight_list"], lambda rows: [WeightRow._make(row) for row in rows], {"limit": MOST})


def _first(rows: Rows) -> int:
    return int(rows[0][0])
