"""The life of a job: enqueue, relay, claim, heartbeat, settle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.outcome import Claimed, Settlement
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from pgqueue.db import Rows


class Shared(NamedTuple):
    """What rows of one class and one call have in common, in the order of COPY's columns after ``lane``."""

    run_at: datetime | None
    delay: timedelta | None
    max_age: timedelta
    payload_version: int
    max_attempts: int
    priority: int
    correlation_id: UUID
    queue: str
    kind: str
    organization_id: str
    user_id: str
    cost: int | None
    unique_while: str | None
    unique_period: timedelta | None
    unique_max_wait: timedelta | None
    on_conflict: str | None


class Own(NamedTuple):
    """What is each row's own, in the order of the columns after those that are shared."""

    limits: list[str] | None
    unique_hash: bytes | None
    args: str


class Lifecycle:
    """The blocks of ``lifecycle.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def enqueue(self, shared: Shared, own: Own, trace_id: UUID) -> Query[int]:
        """Write one job into the outbox and return its id."""
        params = {**shared._asdict(), **own._asdict(), "trace_id": trace_id}
        return Query(self._sql["enqueue"], _first_value, params)

    def copy(self) -> Query[None]:
        """COPY many rows into the outbox."""
        return Query(self._sql["enqueue_many"], _nothing)

    def last_job_id(self) -> Query[int]:
        """Return the highest job id given so far."""
        return Query(self._sql["last_job_id"], _first_value)

    def tick_of(self, job_id: int) -> Query[datetime | None]:
        """Return the tick of its schedule that a live job is for."""
        return Query(self._sql["tick_of_job"], lambda rows: rows[0][0] if rows else None, {"id": job_id})

    def enqueued_ids(self, after: int, first: UUID, last: UUID) -> Query[list[int]]:
        """Return the ids of the rows that one COPY wrote, in its order."""
        return Query(self._sql["enqueued_ids"], _values, {"after": after, "first": first, "last": last})

    def relay(
        self,
        state: Mapping[str, Any] | None,
        *,
        batch: int,
        term: timedelta,
        wake: str | None,
        stuck: Sequence[Any] = (),
    ) -> Query[dict[str, Any]]:
        """Move what was committed into the queue, promote what has become due, move the marks."""
        params = {
            "state": None if state is None else json.dumps(state),
            "batch": batch,
            "term": term,
            "wake": wake,
            "stuck": json.dumps(list(stuck)),
        }
        return Query(self._sql["relay"], _json, params)

    def claim(self, worker: UUID, room: Mapping[str, int], lease: timedelta) -> Query[list[Claimed]]:
        """Take up to ``room[queue]`` jobs of each queue, in this order of queues."""
        params = {"worker": worker, "queues": list(room), "limits": list(room.values()), "lease": lease}
        return Query(self._sql["claim"], _claimed, params)

    def heartbeat(
        self, worker: UUID, fences: Sequence[tuple[int, int]], lease: timedelta
    ) -> Query[list[tuple[int, bool]]]:
        """Renew leases; returns (id, cancel requested) of those that are still ours."""
        ids, claims = [fence[0] for fence in fences], [fence[1] for fence in fences]
        params = {"worker": worker, "ids": ids, "claims": claims, "lease": lease}
        return Query(self._sql["heartbeat"], _pairs, params)

    def settle(self, settlements: Sequence[Settlement]) -> Query[list[int]]:
        """End or postpone claimed jobs; returns the ids whose lease was lost. Waits for rows that are locked."""
        return Query(self._sql["settle"], _values, _settling(settlements))

    def settle_batch(self, settlements: Sequence[Settlement]) -> Query[list[tuple[int, bool]]]:
        """Do the same without waiting; returns (id, busy): locked by somebody and not settled, or else lost."""
        return Query(self._sql["settle_batch"], _pairs, _settling(settlements))


def _settling(settlements: Sequence[Settlement]) -> dict[str, Any]:
    ids, claims, moments, seconds, notes, _, _ = zip(*settlements, strict=True)
    return {
        "ids": _array(ids),
        "claims": _array(claims),
        "moments": _array(moments),
        "seconds": _array(seconds),
        "notes": list(notes) if any(notes) else _array(["NULL"] * len(notes)),
    }


def _array(values: Iterable[object]) -> str:
    """Write numbers and plain words as PostgreSQL's array text: a tenth of what adapting a list costs."""
    return "{" + ",".join(map(str, values)) + "}"


def _first_value(rows: Rows) -> int:
    return int(rows[0][0])


def _values(rows: Rows) -> list[int]:
    return [row[0] for row in rows]


def _pairs(rows: Rows) -> list[tuple[int, bool]]:
    return [(row[0], row[1]) for row in rows]


def _nothing(_rows: Rows) -> None:
    return None


def _json(rows: Rows) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rows[0][0])
    return found


def _claimed(rows: Rows) -> list[Claimed]:
    return [Claimed._make(row) for row in rows]
