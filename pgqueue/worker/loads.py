"""Samples how much waits in each queue, from a thread of its own: a slow database must not delay a supervisor."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from pgqueue.db import connect, run
from pgqueue.errors import PgqueueError
from pgqueue.queries.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.settings import Settings

_MOST = 1_000  # jobs of one queue and lane that are counted; a longer queue weighs as much
_LONGEST = 30.0


class Loads:
    """What was found last: jobs that wait, by queue; None while the database cannot be asked."""

    def __init__(self, url: str, settings: Settings, queues: Sequence[str], every: float) -> None:
        """Open nothing."""
        self._url = url
        self._pooler = settings.pooler
        self._query = Supervision(settings.schema_name).loads(queues, most=_MOST)
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pgqueue loads", daemon=True)
        self.waiting: dict[str, int] | None = None

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and its connection."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        pause = self._every
        while not self._stop.is_set():
            try:
                with contextlib.closing(connect(self._url, name="pgqueue supervisor")) as conn:
                    self._look(conn)
            except (psycopg.Error, PgqueueError, OSError) as error:
                if self.waiting is not None or pause == self._every:
                    structlog.get_logger("pgqueue").warning("balance.blind", error=f"{type(error).__name__}: {error}")
                pause = min(max(pause if self.waiting is None else self._every, 0.1) * 2, _LONGEST)
                self.waiting = None
                self._stop.wait(pause)

    def _look(self, conn: psycopg.Connection[Any]) -> None:
        if self._pooler:
            conn.prepare_threshold = None
        while not self._stop.is_set():
            self.waiting = run(conn, self._query)
            self._stop.wait(self._every)
