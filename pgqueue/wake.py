"""Tells idle workers that something was committed, after the commit, on a connection of its own.

Only a hint: a lost one costs a polling interval. Never in the caller's transaction, because NOTIFY takes a lock at
commit that is global to the server, and a full notification queue would abort the caller.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.db import connect, run
from pgqueue.errors import PgqueueError
from pgqueue.queries.control import Control

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

    from pgqueue.settings import Settings

_REST = 0.01  # seconds between two hints: after one, the relay looks by itself every few milliseconds
_LINGER = 10.0  # seconds without work after which the thread and its connection go


def outbox_channel(schema: str) -> str:
    """Return the channel on which workers hear that the outbox has rows."""
    return f"{schema}_outbox"


def ready_channel(schema: str) -> str:
    """Return the channel on which workers hear that a queue (the payload) has jobs."""
    return f"{schema}_ready"


class Waker:
    """One thread with one connection, both only while there is something to tell."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing."""
        self._settings = settings
        self._channel = outbox_channel(settings.schema_name)
        self._wake = Control(settings.schema_name).wake(self._channel, "")
        self._told = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._hooked: weakref.WeakSet[Any] = weakref.WeakSet()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def after_commit(self, conn: object) -> None:
        """Wake the relay once after the session's commit, if ``conn`` is a SQLAlchemy session."""
        session = getattr(conn, "sync_session", conn)  # an AsyncSession carries its Session
        if type(session).__module__.partition(".")[0] != "sqlalchemy" and not hasattr(session, "get_bind"):
            return
        from sqlalchemy import event
        from sqlalchemy.orm import Session

        url = self._settings.database_url
        if not isinstance(session, Session) or not url or url.startswith("embedded:"):
            return
        session.info[self] = True
        if session not in self._hooked:
            self._hooked.add(session)
            event.listen(session, "after_commit", self._committed)
            event.listen(session, "after_transaction_end", self._ended)

    def tell(self) -> None:
        """Have the hint sent soon, by the thread."""
        with self._lock:
            self._told.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pgqueue wake", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread and its connection now instead of after a while; a later commit starts them again."""
        with self._lock:
            thread, self._closing = self._thread, True
            self._told.set()
        if thread is not None:
            thread.join(timeout=5)
        self._closing = False

    def _committed(self, session: Session) -> None:
        if session.get_nested_transaction() is not None:
            return  # a savepoint was released: nobody else sees the job yet
        if session.info.pop(self, False):  # only a commit that has jobs in it
            self.tell()

    def _ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            session.info.pop(self, None)  # rolled back: the next commit has none of its jobs

    def _forget(self) -> None:
        """After a fork the thread is gone, and the connection belongs to the parent."""
        self._lock, self._told, self._thread = threading.Lock(), threading.Event(), None

    def _work(self) -> None:
        """Send hints until nothing was told for a while; errors end the thread, the next commit starts another."""
        with (
            contextlib.suppress(psycopg.Error, PgqueueError),
            contextlib.closing(connect(self._settings.database_url or "", name="pgqueue wake")) as conn,
        ):
            while self._goes_on():
                run(conn, self._wake)
                time.sleep(_REST)
        with self._lock:
            if self._thread is threading.current_thread():  # an error ended it
                self._thread = None

    def _goes_on(self) -> bool:
        """Wait for something to tell; False: nothing came, and whoever comes next starts another thread."""
        self._told.wait(_LINGER)
        with self._lock:  # nobody may tell between the look and the end
            told = self._told.is_set() and not self._closing
            self._told.clear()
            if not told:
                self._thread = None
            return told
