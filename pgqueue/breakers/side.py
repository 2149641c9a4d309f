"""A connection beside everything else: one thread, one autocommit connection, nobody waits for it longer than they say.

For what belongs to no transaction and must never make the caller fail or hang: the state of circuit breakers.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from pgqueue.db import connect, run
from pgqueue.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.db import Query

    _Waiting = queue.Queue[tuple[Query[Any], Future[Any]] | None]

T = TypeVar("T")
_LINGER = 10.0  # seconds without work after which the thread and its connection go
_AWAY = 5.0  # seconds in which a database that did not answer is not asked again
_MOST = 1_000  # questions that may wait


class SideConnection:
    """Answers queries in order; raises `DatabaseUnavailable` at once while the database is known to be away."""

    def __init__(self, url: Callable[[], str | None], *, name: str, patience: float = 1.0) -> None:
        """Open nothing. ``url``: asked for when a connection is made; ``patience``: seconds that `ask` waits."""
        self._url = url
        self._name = name
        self._patience = patience
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Know of no thread: at first, and after a fork (the connection belongs to the parent)."""
        self._lock = threading.Lock()
        self._waiting: _Waiting = queue.Queue()
        self._thread: threading.Thread | None = None
        self._away_until = 0.0

    def ask(self, query: Query[T]) -> T:
        """Send a query and wait for its answer, `patience` seconds at most."""
        answer = self.send(query)
        try:
            return answer.result(self._patience)
        except TimeoutError:
            self._abandon()
            raise DatabaseUnavailable(f"the database did not answer within {self._patience:g} s") from None
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise DatabaseUnavailable(f"the database refused: {type(error).__name__}: {error}".strip()) from error

    def send(self, query: Query[T]) -> Future[T]:
        """Send a query; the answer comes when it comes."""
        answer: Future[T] = Future()
        with self._lock:
            if time.monotonic() < self._away_until or self._waiting.qsize() >= _MOST:
                raise DatabaseUnavailable("the database was away a moment ago")
            self._waiting.put((query, answer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, args=(self._waiting,), name=self._name, daemon=True)
                self._thread.start()
        return answer

    def close(self) -> None:
        """End the thread and its connection; a later query starts them again."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._waiting.put(None)
        if thread is not None:
            thread.join(timeout=5)

    def _abandon(self) -> None:
        """Leave a thread to itself whose server does not answer; it ends when it does."""
        with self._lock:
            self._away_until = time.monotonic() + _AWAY
            self._waiting.put(None)
            self._waiting, self._thread = queue.Queue(), None

    def _work(self, waiting: _Waiting) -> None:
        conn: psycopg.Connection[Any] | None = None
        try:
            while (asked := self._next(waiting)) is not None:
                query, answer = asked
                try:
                    if conn is None or conn.closed:
                        conn = self._connect()
                    answer.set_result(run(conn, query))
                except Exception as error:  # noqa: BLE001 - whatever it is, the caller must not fail for it
                    self._failed(waiting, answer, error)
                    if conn is not None:
                        conn.close()
        finally:
            if conn is not None:
                with contextlib.suppress(psycopg.Error):
                    conn.close()

    def _connect(self) -> psycopg.Connection[Any]:
        url = self._url()
        if not url:
            raise DatabaseUnavailable("no database address; set PGQUEUE_DATABASE_URL")
        conn = connect(url, name=self._name)
        conn.prepare_threshold = None  # a transaction pooler may stand in between
        return conn

    def _failed(self, waiting: _Waiting, answer: Future[Any], error: Exception) -> None:
        """Answer everybody who waits, and let nobody ask for a while."""
        with self._lock:
            self._away_until = time.monotonic() + _AWAY
            answers = [answer]
            with contextlib.suppress(queue.Empty):
                while True:
                    asked = waiting.get_nowait()
                    if asked is not None:
                        answers.append(asked[1])
        for each in answers:
            each.set_exception(error)

    def _next(self, waiting: _Waiting) -> tuple[Query[Any], Future[Any]] | None:
        """Wait for a question; None: nothing came, and whoever comes next starts another thread."""
        asked = None
        with contextlib.suppress(queue.Empty):
            asked = waiting.get(timeout=_LINGER)
        with self._lock:
            while asked is None and not waiting.empty():
                asked = waiting.get_nowait()
            if asked is None and waiting is self._waiting:
                self._thread = None
        return asked
