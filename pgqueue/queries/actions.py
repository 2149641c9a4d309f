"""What people did."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class ActionRow(NamedTuple):
    """One act; ``filter`` is JSON as PostgreSQL prints it."""

    id: int
    done_at: datetime
    by: str
    verb: str
    target: str
    affected: int
    reason: str
    filter: str
    age_seconds: float


class Actions:
    """The blocks of ``actions.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def find(
        self, *, limit: int, verb: str | None = None, by: str | None = None, since: timedelta | None = None
    ) -> Query[list[ActionRow]]:
        """Find actions, the last first."""
        params = {"limit": limit, "verb": verb, "by": by, "since": since}
        return Query(self._sql["find_actions"], lambda rows: [ActionRow._make(row) for row in rows], params)
