"""Alerts: what was measured, what stands, what has to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.alerts import Notice, Standing
from pgqueue.db import Query
from pgqueue.queries.schedules import STALE
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from pgqueue.alerts import Level, Step
    from pgqueue.db import Rows


class Measured(NamedTuple):
    """One subject of a rule, and how it stands now."""

    subject: str
    value: float
    text: str


class Message(NamedTuple):
    """A message that this process is to deliver; ``tries`` counts this one."""

    id: int
    tries: int
    notice: Notice


class AlertRow(NamedTuple):
    """An alert that is raised."""

    rule: str
    subject: str
    value: float
    raised_at: datetime
    told_at: datetime | None
    sampled_at: datetime
    text: str
    raised_seconds: float
    sampled_seconds: float


class MessageRow(NamedTuple):
    """A message and what became of it."""

    key: str
    channel: str
    event: str
    rule: str
    subject: str
    made_at: datetime
    tries: int
    next_try_at: datetime | None
    sent_at: datetime | None
    error: str | None


class AlertQueries:
    """The blocks of ``alerts.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def count(self, counts: Mapping[str, tuple[int, int]]) -> Query[None]:
        """Write down how many attempts of each kind succeeded and failed in this process since the last time."""
        params = {
            "kinds": list(counts),
            "succeeded": [succeeded for succeeded, _ in counts.values()],
            "failed": [failed for _, failed in counts.values()],
        }
        return Query(self._sql["count_attempts"], _nothing, params)

    def measure(self, rule: str, level: Level | None, least: int) -> Query[list[Measured]]:
        """Measure every subject of a rule; those that are not returned are well."""
        params: dict[str, Any] = {"stale": STALE} if level is None else {"age": level.window, "least": least}
        return Query(self._sql[f"measure_{rule}"], lambda rows: [Measured._make(row) for row in rows], params)

    def standings(self, recent: timedelta) -> Query[dict[tuple[str, str], Standing]]:
        """Return what is known of each subject; judged within ``recent``: to be left alone this time."""
        return Query(self._sql["alert_standings"], _standings, {"recent": recent})

    def write(self, steps: Sequence[Step], channels: Sequence[str]) -> Query[int]:
        """Write steps down unless somebody else judged; returns how many messages there are to send."""
        columns = list(zip(*steps, strict=True))
        names = ("rules", "subjects", "versions", "streaks", "raised", "values", "events", "texts")
        params = {name: list(column) for name, column in zip(names, columns, strict=True)}
        return Query(self._sql["write_alerts"], len, params | {"channels": list(channels)})

    def take(self, channel: str, lasts: timedelta) -> Query[Message | None]:
        """Take one message to a channel; if it is not ended within ``lasts``, somebody takes it again."""
        return Query(self._sql["take_message"], _message, {"channel": channel, "lasts": lasts})

    def end(self, message: Message, *, error: str | None = None, again: timedelta | None = None) -> Query[None]:
        """Note that it was sent, or why not and when to try again (None: never)."""
        params = {"id": message.id, "error": error, "again": again}
        return Query(self._sql["end_message"], _nothing, params)

    def prune(self, age: timedelta) -> Query[int]:
        """Forget what is over; samples older than ``age``."""
        return Query(self._sql["prune_alerts"], len, {"age": age})

    def raised(self) -> Query[list[AlertRow]]:
        """Return the alerts that are raised, the oldest first."""
        return Query(self._sql["find_alerts"], lambda rows: [AlertRow._make(row) for row in rows])

    def messages(self, *, unsent: bool, limit: int) -> Query[list[MessageRow]]:
        """Return messages, the last first; ``unsent``: only those that were not delivered."""
        params = {"unsent": unsent, "limit": limit}
        return Query(self._sql["find_messages"], lambda rows: [MessageRow._make(row) for row in rows], params)


def _standings(rows: Rows) -> dict[tuple[str, str], Standing]:
    return {(row[0], row[1]): Standing(*row[2:]) for row in rows}


def _message(rows: Rows) -> Message | None:
    return Message(rows[0][0], rows[0][1], Notice(*rows[0][2:])) if rows else None


def _nothing(_rows: Rows) -> None:
    return None
