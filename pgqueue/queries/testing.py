"""What the testing kit asks on a test's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta


class Waiting(NamedTuple):
    """A job that was enqueued and has not run."""

    id: int
    state: str
    kind: str
    queue: str
    run_at: datetime | None
    run_in: float | None
    """Seconds from enqueue to ``run_at``."""
    payload_version: int
    organization_id: str
    user_id: str
    args: str


class Testing:
    """The blocks of ``testing.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def _values(self, block: str, **params: Any) -> Query[list[Any]]:
        return Query(self._sql[f"testing_{block}"], lambda rows: [row[0] for row in rows], params)

    def keep_relays_out(self) -> Query[list[Any]]:
        """Keep real relays out of this database until the transaction ends."""
        return self._values("keep_relays_out")

    def enqueued(self) -> Query[list[tuple[int, list[int]]]]:
        """Return (lane, ids) of what this transaction enqueued and nobody relayed."""
        return Query(self._sql["testing_enqueued"], lambda rows: [(row[0], row[1]) for row in rows])

    def unknown_queues(self, lane: int, ids: list[int]) -> Query[list[str]]:
        """Return the queues of these rows that this database has never seen."""
        return self._values("unknown_queues", lane=lane, ids=ids)

    def patience(self) -> Query[list[str]]:
        """Return how long statements wait for a lock."""
        return self._values("patience")

    def wait_at_most(self, timeout: str) -> Query[list[str]]:
        """Say how long statements of this transaction wait for a lock."""
        return self._values("wait_at_most", timeout=timeout)

    def add_queues(self, lane: int, ids: list[int]) -> Query[list[Any]]:
        """Make the queues of these rows known."""
        return self._values("add_queues", lane=lane, ids=ids)

    def relay(self, lane: int, ids: list[int]) -> Query[list[int]]:
        """Move rows of the outbox into the queue, as the relay does; returns the ids."""
        return self._values("relay", lane=lane, ids=ids)

    def promote(self) -> Query[list[Any]]:
        """Give jobs whose time has come a position."""
        return self._values("promote")

    def make_due(self, ids: Collection[int]) -> Query[list[int]]:
        """Let the time come of the next of these jobs that waits; returns its id, if there is one."""
        return self._values("make_due", ids=list(ids))

    def end_lease(self, job_id: int, claims: int) -> Query[list[int]]:
        """Let the lease of a claim be over."""
        return self._values("end_lease", id=job_id, claims=claims)

    def waiting(self, ids: Collection[int]) -> Query[list[Waiting]]:
        """Return what this transaction enqueued and what has not run of these jobs."""
        return Query(
            self._sql["testing_waiting"], lambda rows: [Waiting._make(row) for row in rows], {"ids": list(ids)}
        )

    def now(self) -> Query[datetime]:
        """Return the database's time."""
        return Query(self._sql["testing_now"], lambda rows: rows[0][0])

    def shift(self, by: timedelta) -> Query[list[Any]]:
        """Say by how much the clock of this transaction is wrong."""
        return self._values("shift", shift=f"{by.total_seconds()} seconds")

    def clock(self) -> Query[list[Any]]:
        """Make the clock heed the shift of its transaction."""
        return self._values("clock")

    def database_clock(self) -> Query[list[Any]]:
        """Make the shift of this transaction the whole database's, for good."""
        return self._values("database_clock")
