"""What keeps the queue healthy: workers, rescue, the nets, days of finished jobs, prune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.queries.schedules import STALE
from pgqueue.sql import load
from pgqueue.telemetry import Samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from pgqueue.db import Rows

_MOST_SAMPLED = 1_000  # series of a metric


class Registration(NamedTuple):
    """A worker process as its row says it."""

    worker: UUID
    host: str
    pid: int
    version: str
    queues: list[str]
    kinds: list[str]
    concurrency: int


class Mark(NamedTuple):
    """V and the highest position given, of one queue and lane."""

    queue: str
    lane: int
    v: int
    head: int


class Rescued(NamedTuple):
    """A job that was taken from a worker that is gone."""

    id: int
    queue: str
    kind: str
    crashes: int


class Upkeep:
    """The blocks of ``upkeep.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def _ids(self, block: str, **params: Any) -> Query[list[Any]]:
        return Query(self._sql[block], lambda rows: [row[0] for row in rows], params)

    def register(self, row: Registration) -> Query[list[Any]]:
        """Write the worker's row."""
        return self._ids("register", **row._asdict())

    def add_queues(self, queues: Sequence[str]) -> Query[list[Any]]:
        """Make queues known that were not."""
        return self._ids("add_queues", queues=list(queues))

    def set_orders(self, orders: Mapping[str, str]) -> Query[list[Any]]:
        """Take over what the settings say about the order of queues; returns those that changed."""
        return self._ids("set_orders", queues=list(orders), orders=list(orders.values()))

    def unpark(self, holds: Sequence[str]) -> Query[list[Any]]:
        """Free jobs that were parked because nobody knew their kind."""
        return self._ids("unpark", holds=list(holds))

    def unpark_known(self, age: timedelta) -> Query[list[Any]]:
        """Free parked jobs whose kind a worker knows that was heard of within ``age``."""
        return self._ids("unpark_known", age=age)

    def beat(self, row: Registration, *, running: int, draining: bool) -> Query[list[Any]]:
        """Say that this process lives, and which queues it serves now."""
        return self._ids("beat", worker=row.worker, running=running, draining=draining, queues=row.queues)

    def deregister(self, worker: UUID) -> Query[list[Any]]:
        """Remove the worker's row."""
        return self._ids("deregister", worker=worker)

    def take_turn(self, token: int | None, term: timedelta) -> Query[int | None]:
        """Take or keep the upkeep role; None: another process has it."""
        return Query(self._sql["take_turn"], lambda rows: rows[0][0], {"token": token, "term": term})

    def leave_turn(self, role: str, token: int) -> Query[list[bool]]:
        """Let another process have a role at once."""
        return self._ids("leave_turn", role=role, token=token)

    def marks(self) -> Query[list[Mark]]:
        """Return V and head of every queue and lane."""
        return Query(self._sql["marks"], lambda rows: [Mark._make(row) for row in rows])

    def running_between(self, mark: Mark, low: int, limit: int) -> Query[list[tuple[int, int, int]]]:
        """Return (id, claims, position) of jobs that run at positions from ``low`` up to V."""
        params = {"queue": mark.queue, "lane": mark.lane, "low": low, "high": mark.v, "limit": limit}
        return Query(self._sql["running_between"], _triples, params)

    def lost_leases(self, fences: Sequence[tuple[int, int]]) -> Query[list[tuple[int, int, bool]]]:
        """Of these claims, return those that still run, and whether their lease is over."""
        params = {"ids": [fence[0] for fence in fences], "claims": [fence[1] for fence in fences]}
        return Query(self._sql["lost_leases"], _triples, params)

    def rescue(self, fences: Sequence[tuple[int, int]], *, max_crashes: int, backoff: float) -> Query[list[Rescued]]:
        """Take jobs from workers that are gone."""
        params = {
            "ids": [fence[0] for fence in fences],
            "claims": [fence[1] for fence in fences],
            "max_crashes": max_crashes,
            "backoff": backoff,
        }
        return Query(self._sql["rescue"], lambda rows: [Rescued._make(row) for row in rows], params)

    def sweep_outbox(self) -> Query[list[tuple[int, list[int]]]]:
        """Find rows below the outbox's mark, by lane."""
        return Query(self._sql["sweep_outbox"], lambda rows: [(row[0], row[1]) for row in rows])

    def sweep_move(self, lane: int, ids: Sequence[int]) -> Query[list[Any]]:
        """Move what `sweep_outbox` found."""
        return self._ids("sweep_move", lane=lane, ids=list(ids))

    def sweep_ready(self) -> Query[list[Any]]:
        """Give unclaimed jobs below V a new position."""
        return self._ids("sweep_ready")

    def sweep_waiting(self) -> Query[list[Any]]:
        """Promote without the mark."""
        return self._ids("sweep_waiting")

    def sweep_permits(self) -> Query[list[Any]]:
        """Let go permits whose job has none any more."""
        return self._ids("sweep_permits")

    def sweep_held(self) -> Query[list[Any]]:
        """Look again at jobs that wait for a key of which nobody has a permit."""
        return self._ids("sweep_held")

    def prune_shares(self) -> Query[list[Any]]:
        """Forget organizations that owe a fair queue nothing."""
        return self._ids("prune_shares")

    def prune_rates(self) -> Query[list[Any]]:
        """Forget rates of which everything is paid."""
        return self._ids("prune_rates")

    def make_days(self, days: int) -> Query[list[Any]]:
        """Make the partitions of the days to come."""
        return self._ids("make_days", days=days)

    def drop_days(self) -> Query[list[Any]]:
        """Drop the partitions of days that have passed."""
        return self._ids("drop_days")

    def prune(self) -> Query[list[Any]]:
        """Delete one batch of what was kept longer than the days made ahead."""
        return self._ids("prune")

    def prune_merged(self, age: timedelta) -> Query[list[Any]]:
        """Delete one batch of ids that were merged longer ago than ``age``."""
        return self._ids("prune_merged", age=age)

    def prune_periods(self) -> Query[list[Any]]:
        """Delete one batch of unique periods that are over."""
        return self._ids("prune_periods")

    def prune_once(self) -> Query[list[Any]]:
        """Delete one batch of keys that need not be remembered any longer."""
        return self._ids("prune_once")

    def prune_locks(self) -> Query[list[Any]]:
        """Delete one batch of locks that expired long ago."""
        return self._ids("prune_locks")

    def prune_dead(self, kept: Mapping[str, float]) -> Query[list[Any]]:
        """Delete up to 1 000 dead letters of these kinds that are older than so many seconds; returns their ids."""
        return self._ids("prune_dead", kinds=list(kept), seconds=list(kept.values()))

    def prune_workers(self, age: timedelta) -> Query[list[Any]]:
        """Delete rows of workers silent for longer than ``age``."""
        return self._ids("prune_workers", age=age)

    def prune_breakers(self, age: timedelta) -> Query[list[Any]]:
        """Forget circuit breakers that have been well for ``age``."""
        return self._ids("prune_breakers", age=age)

    def notification_usage(self) -> Query[list[Any]]:
        """Return how full PostgreSQL's notification queue is (0 to 1)."""
        return self._ids("notification_usage")

    def sample(self) -> Query[Samples]:
        """Return the figures that are metrics."""
        return Query(self._sql["sample"], _samples, {"stale": STALE, "most": _MOST_SAMPLED})

    def stamp(self) -> Query[tuple[int, int]]:
        """Return the schema's version and the least worker version it serves."""
        return Query(self._sql["stamp"], lambda rows: (rows[0][0], rows[0][1]))

    def work_left(self, queues: Sequence[str]) -> Query[list[bool]]:
        """Tell whether anything of these queues could run now, or runs anywhere."""
        return self._ids("work_left", queues=list(queues))

    def surroundings(self) -> Query[tuple[str, bool]]:
        """Return the default isolation level, and whether the server is a standby."""
        return Query(self._sql["surroundings"], lambda rows: (rows[0][0], rows[0][1]))

    def carried_as(self) -> Query[list[Any]]:
        """Return the name under which this database is a source of another queue, if it is one."""
        return self._ids("carried_as")

    def backend(self) -> Query[list[Any]]:
        """Return the number of the server process behind this transaction (a pooler's driver would name its own)."""
        return self._ids("backend")

    def end_backend(self, pid: int) -> Query[list[Any]]:
        """End a session of our own login; its transaction is rolled back."""
        return self._ids("end_backend", pid=pid)

    def sequence_cache(self) -> Query[list[Any]]:
        """Return the CACHE of the job id sequence; only 1 keeps the outbox's mark exact."""
        return self._ids("sequence_cache")


def _samples(rows: Rows) -> Samples:
    parts = ("dead", "pins", "breaker", "raised", "overdue")
    found: dict[str, dict[tuple[str, str], Any]] = {part: {} for part in parts}
    for what, one, two, value in rows:
        found[what][one, two] = value
    return Samples(
        {key: int(jobs) for key, jobs in found["dead"].items()},
        int(found["pins"]["", ""]),
        {key: int(state) for key, state in found["breaker"].items()},
        {rule: int(alerts) for (rule, _), alerts in found["raised"].items()},
        {schedule: seconds for (schedule, _), seconds in found["overdue"].items()},
    )


def _triples(rows: Rows) -> list[Any]:
    return [tuple(row) for row in rows]
