"""Keeps the leases of a process alive from a thread with its own connection: a blocked event loop cannot stop it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from pgqueue.db import connect, run
from pgqueue.errors import PgqueueError
from pgqueue.queries.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pgqueue.outcome import Claimed
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.queries.supervision import Orders
    from pgqueue.queries.upkeep import Registration, Upkeep
    from pgqueue.settings import Settings

_BACK = "this process was stopped or cut off so long that it was taken for dead; others may have run its jobs"


class Heartbeat:
    """Renews leases every ``heartbeat`` seconds; tells when jobs should be cancelled and when leases are in danger."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        queries: tuple[Lifecycle, Upkeep],
        *,
        held: Callable[[], list[Claimed]],
        on_cancel: Callable[[list[int]], object],
        on_lost: Callable[[list[tuple[int, int]]], object],
        row: Callable[[], Registration],
        on_orders: Callable[[Orders], object],
    ) -> None:
        """Hooks are called from this thread. ``on_lost`` gets id and claims of lost leases; ``row``: the worker's."""
        self._url = url
        self._settings = settings
        self._lifecycle, self._upkeep = queries
        self._held = held
        self._on_cancel = on_cancel
        self._on_lost = on_lost
        self._row = row
        self._on_orders = on_orders
        self._supervision = Supervision(settings.schema_name)
        self._soon = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pgqueue heartbeat", daemon=True)
        self._conn: psycopg.Connection[Any] | None = None
        self.draining = False
        self.last = time.monotonic()
        """When all leases were renewed last. The event loop judges by it: a stuck thread could not tell."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """The thread goes on; an error of our own code would end it."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop after the last job has ended: the last thing a worker does before it goes."""
        self._stop.set()
        self._soon.set()
        self._thread.join(timeout=5)

    def soon(self) -> None:
        """Beat now: there is something to say, or to hear."""
        self._soon.set()

    def _work(self) -> None:
        every = pause = self._settings.heartbeat.total_seconds()
        while True:
            self._soon.wait(pause)
            self._soon.clear()
            if self._stop.is_set():
                break
            try:
                self.beat()
                pause = every
            except (psycopg.Error, PgqueueError, OSError) as error:
                self._drop()
                structlog.get_logger("pgqueue").warning("heartbeat.failed", error=f"{type(error).__name__}: {error}")
                pause = min(every, 1.0)
        self._drop()

    def beat(self) -> None:
        """Renew once."""
        if self._conn is None:
            self._conn = connect(self._url, name="pgqueue heartbeat")
            if self._settings.pooler:
                self._conn.prepare_threshold = None
        began = time.monotonic()
        row, held = self._row(), self._held()
        if held:
            self._renew(self._conn, row.worker, [(job.id, job.claims) for job in held])
        self.last = began
        run(self._conn, self._upkeep.beat(row, running=len(held), draining=self.draining))
        orders = run(self._conn, self._supervision.orders(row.worker))
        if not orders.registered:  # frozen, or cut off, for so long that it was taken for dead
            run(self._conn, self._upkeep.register(row))
            structlog.get_logger("pgqueue").warning("worker.registered_again", workerId=str(row.worker), hint=_BACK)
        self._on_orders(orders)

    def _renew(self, conn: psycopg.Connection[Any], worker: UUID, fences: list[tuple[int, int]]) -> None:
        answers = run(conn, self._lifecycle.heartbeat(worker, fences, self._settings.lease))
        renewed = dict(answers)
        if cancelled := [job_id for job_id, cancel in renewed.items() if cancel]:
            self._on_cancel(cancelled)
        missing = [fence for fence in fences if fence[0] not in renewed]
        if missing:  # settled in this moment, locked by somebody, or lost while this process was frozen
            alive = {(job_id, claims) for job_id, claims, _ in run(conn, self._upkeep.lost_leases(missing))}
            if lost := [fence for fence in missing if fence not in alive]:
                self._on_lost(lost)

    def _drop(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                self._conn.close()
            self._conn = None
