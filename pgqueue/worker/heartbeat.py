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

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pgqueue.outcome import Claimed
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.queries.upkeep import Upkeep
    from pgqueue.settings import Settings


class Heartbeat:
    """Renews leases every ``heartbeat`` seconds; tells when jobs should be cancelled and when leases are in danger."""

    def __init__(
        self,
        worker: UUID,
        url: str,
        settings: Settings,
        queries: tuple[Lifecycle, Upkeep],
        *,
        held: Callable[[], list[Claimed]],
        on_cancel: Callable[[list[int]], object],
        on_danger: Callable[[], object],
    ) -> None:
        """``held`` is called from this thread; so are ``on_cancel`` and ``on_danger``."""
        self._worker = worker
        self._url = url
        self._settings = settings
        self._lifecycle, self._upkeep = queries
        self._held = held
        self._on_cancel = on_cancel
        self._on_danger = on_danger
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pgqueue heartbeat", daemon=True)
        self._conn: psycopg.Connection[Any] | None = None
        self.draining = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the last job has ended: the last thing a worker does before it goes."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        every = self._settings.heartbeat.total_seconds()
        danger = self._settings.lease.total_seconds() * 2 / 3
        last, in_danger = time.monotonic(), False
        while not self._stop.wait(every if not in_danger else min(every, 1.0)):
            try:
                self.beat()
                last, in_danger = time.monotonic(), False
            except (psycopg.Error, PgqueueError, OSError) as error:
                self._drop()
                structlog.get_logger("pgqueue").warning("heartbeat.failed", error=f"{type(error).__name__}: {error}")
                if time.monotonic() - last > danger - every and not in_danger:
                    in_danger = True
                    self._on_danger()
        self._drop()

    def beat(self) -> None:
        """Renew once."""
        if self._conn is None:
            self._conn = connect(self._url, name="pgqueue heartbeat")
            if self._settings.pooler:
                self._conn.prepare_threshold = None
        held = self._held()
        run(self._conn, self._upkeep.beat(self._worker, running=len(held), draining=self.draining))
        if held:
            fences = [(job.id, job.claims) for job in held]
            renewed = run(self._conn, self._lifecycle.heartbeat(self._worker, fences, self._settings.lease))
            cancelled = [job_id for job_id, cancel in renewed if cancel]
            if cancelled:
                self._on_cancel(cancelled)

    def _drop(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                self._conn.close()
            self._conn = None
