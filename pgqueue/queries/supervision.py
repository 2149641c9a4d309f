"""How people steer workers while they run, and what workers and supervisors read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pgqueue.db import Query
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from pgqueue.db import Rows

CONTROL_PAYLOAD = "!control"
"""The payload of a wake-up that says: look at your orders now."""


class Orders(NamedTuple):
    """What a worker process is asked to do, and what overrides its settings."""

    asked: str | None
    workers: dict[str, int]
    """Jobs at once per host, by queue, where somebody set that."""
    processes: int | None
    registered: bool = True
    """The worker's row is there."""


class Override(NamedTuple):
    """One run-time override: in the queue's row (table ``queues``), or for every host (``supervise``)."""

    table: str
    name: str
    value: int
    set_by: str | None
    set_at: datetime


class Supervision:
    """The blocks of ``supervision.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    def _values(self, block: str, **params: Any) -> Query[list[Any]]:
        return Query(self._sql[block], lambda rows: [row[0] for row in rows], params)

    def orders(self, worker: UUID) -> Query[Orders]:
        """Read what this worker has to know."""

        def read(rows: Rows) -> Orders:
            asked, workers, processes, registered = rows[0]
            return Orders(asked, workers or {}, processes, registered)

        return Query(self._sql["orders"], read, {"worker": worker})

    def set_workers(self, queue: str, workers: int | None, *, by: str) -> Query[list[Any]]:
        """Let so many jobs of a queue run at once per host (None: as configured); empty: no such queue."""
        return self._values("set_workers", queue=queue, workers=workers, by=by)

    def set_processes(self, processes: int, *, by: str) -> Query[None]:
        """Let every supervisor run so many processes."""
        params = {"processes": processes, "by": by}
        return Query(self._sql["set_processes"], lambda _rows: None, params)

    def reset_processes(self, *, by: str) -> Query[None]:
        """Let every supervisor run as many processes as configured."""
        return Query(self._sql["reset_processes"], lambda _rows: None, {"by": by})

    def overrides(self) -> Query[list[Override]]:
        """Return every run-time override."""
        return Query(self._sql["overrides"], lambda rows: [Override._make(row) for row in rows])

    def ask_workers(
        self, what: str, *, by: str, silent: timedelta, queue: str | None = None, beginning: str | None = None
    ) -> Query[list[UUID]]:
        """Ask living workers to "drain" or "restart"; returns who was asked."""
        params = {"what": what, "by": by, "silent": silent, "queue": queue, "beginning": beginning}
        return self._values("ask_workers", **params)

    def worker_ids(self, beginning: str) -> Query[list[UUID]]:
        """Return the workers whose id begins so."""
        return self._values("worker_ids", beginning=beginning)

    def resume_due(self) -> Query[list[Any]]:
        """Resume queues whose pause is over; returns their names."""
        return self._values("resume_due")

    def loads(self, queues: Sequence[str], *, most: int) -> Query[dict[str, int]]:
        """Count jobs that wait for a slot, per queue, up to ``most`` per lane."""
        return Query(self._sql["loads"], dict, {"queues": list(queues), "most": most})
