"""An outbox in another database: offer, carry, taken, and the sources there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from pgqueue.db import Rows


class Source(NamedTuple):
    """A database whose outbox is carried here."""

    name: str
    number: int
    added_at: datetime
    in_flight: int


class Offer(NamedTuple):
    """What may be carried now."""

    state: dict[str, Any]
    ids: list[int]
    rows: str
    """Text that only PostgreSQL reads."""


class Carry:
    """The blocks of ``carry.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self.schema = schema
        self._sql = load(schema).statements

    def offer(self, state: Mapping[str, Any] | None, *, batch: int) -> Query[Offer]:
        """Ask the source what may be carried now."""
        params = {"state": None if state is None else json.dumps(state), "batch": batch}
        return Query(self._sql["offer"], _offer, params)

    def carry(
        self,
        source: str,
        *,
        token: int | None,
        term: timedelta,
        offered: str = "[]",
        done: Sequence[int] = (),
        wake: str | None = None,
    ) -> Query[dict[str, Any]]:
        """Make jobs of what the source offered; returns the turn (None: it is another process's)."""
        params = {
            "source": source,
            "token": token,
            "term": term,
            "offered": offered,
            "done": list(done),
            "wake": wake,
        }
        return Query(self._sql["carry"], _json, params)

    def taken(self, ids: Sequence[int]) -> Query[None]:
        """Delete from the source's outbox what is carried for certain."""
        return Query(self._sql["taken"], lambda _: None, {"ids": list(ids)})

    def ledger(self, source: str) -> Query[list[int]]:
        """Return what stands in the ledger of a source."""
        return Query(self._sql["ledger"], _values, {"source": source})

    def still_offered(self, ids: Sequence[int]) -> Query[list[int]]:
        """Return which of these rows the source's outbox still has."""
        return Query(self._sql["still_offered"], _values, {"ids": list(ids)})

    def outbox_left(self) -> Query[bool]:
        """Ask the source whether anything stands in its outbox."""
        return Query(self._sql["outbox_left"], lambda rows: bool(rows[0][0]))

    def add_source(self, source: str, *, by: str) -> Query[int]:
        """Name a source in the queue's database; returns its number."""
        return Query(self._sql["add_source"], lambda rows: int(rows[0][0]), {"source": source, "by": by})

    def become_source(self, source: str, number: int) -> Query[None]:
        """Make a database the source of that name and number."""
        return Query(self._sql["become_source"], lambda _: None, {"source": source, "number": number})

    def remove_source(self, source: str, *, token: int, by: str) -> Query[int | None]:
        """Forget a source in the queue's database; returns its number, None: the turn is another process's by now."""
        params = {"source": source, "token": token, "by": by}
        return Query(self._sql["remove_source"], lambda rows: rows[0][0], params)

    def leave_source(self, source: str, *, anyway: bool) -> Query[int]:
        """Make a database a source no longer; returns how many jobs its outbox keeps, which only ``anyway`` allows."""
        return Query(self._sql["leave_source"], lambda rows: int(rows[0][0]), {"source": source, "anyway": anyway})

    def source_list(self) -> Query[list[Source]]:
        """Return the sources of this queue."""
        return Query(self._sql["source_list"], lambda rows: [Source._make(row) for row in rows])


def _values(rows: Rows) -> list[Any]:
    return [row[0] for row in rows]


def _json(rows: Rows) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rows[0][0])
    return found


def _offer(rows: Rows) -> Offer:
    answer = json.loads(rows[0][0])
    return Offer(answer["state"], answer["ids"], rows[0][1])
