"""`python -m domain.bench`: how long a purge keeps others waiting. On a private server that is gone at the end.

It writes sessions that are over, lets the real job remove them, and takes the time of each of its transactions, from
the statement that takes the first lock until the commit has returned.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import typer
from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet
from sqlalchemy import Engine, Pool, event

from domain.composition import open_application
from domain.jobs import JOBS
from domain.settings import CONFIGURATION
from domain.system import SYSTEM
from pgqueue import App, AsyncQueue, Settings
from pgqueue.embedded import temporary_server
from pgqueue.testing.database import work_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
LOCK_LIMIT_MILLISECONDS = 200
KEPT = 1_000
"""Rows that are not over: they have to stay."""
_ASKS = """SELECT pgqueue.enqueue('PurgeExpiredRecordsJob', '{"retention": "sessions"}', %(organization)s, %(user)s,
    queue => 'low')"""
_DELETES = "DELETE FROM smm.sessions"
_SEED = """WITH u AS (
      INSERT INTO smm.users (id, email, status) VALUES (gen_random_uuid(), 'bench@example.com', 'active') RETURNING id)
    INSERT INTO smm.sessions (id, user_id, token_hash, epoch, expires_at)
    SELECT gen_random_uuid(), u.id, sha256(n::text::bytea), 0,
      now() - CASE WHEN n <= %(kept)s THEN interval '0' ELSE interval '31 days' END
    FROM u, generate_series(1, %(rows)s + %(kept)s) AS n"""


@dataclass(slots=True)
class Purge:
    """What was measured."""

    rows: int
    seconds: float = 0.0
    transactions: int = 0
    most_rows: int = 0
    """Of one transaction."""
    longest_lock_milliseconds: float = 0.0
    left: int = 0
    """Rows that were over and are still there."""
    gone: int = 0
    """Rows that were not over and are not there any more."""

    @property
    def ok(self) -> bool:
        """Whether everything that was over went, nothing else did, and no lock was held for too long."""
        return not self.left and not self.gone and self.longest_lock_milliseconds <= LOCK_LIMIT_MILLISECONDS


class Watch:
    """Hears of every statement of this process, and of connections that are given back after their commit."""

    def __init__(self, purge: Purge) -> None:
        self._purge = purge
        self._since: dict[int, float] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside this block."""
        listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (Engine, "before_cursor_execute", self._before),
            (Engine, "after_cursor_execute", self._after),
            (Pool, "checkin", self._over),
        ]
        for target, name, listener in listeners:
            event.listen(target, name, listener)
        try:
            yield
        finally:
            for target, name, listener in listeners:
                event.remove(target, name, listener)

    def _before(self, conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if _DELETES in statement:
            self._since.setdefault(id(conn.connection.dbapi_connection), time.perf_counter())

    def _after(self, _conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if _DELETES in statement:
            self._purge.most_rows = max(self._purge.most_rows, cursor.rowcount)

    def _over(self, dbapi_connection: Any, _record: Any) -> None:
        since = self._since.pop(id(dbapi_connection), None)
        if since is not None:
            held = (time.perf_counter() - since) * 1000
            self._purge.transactions += 1
            self._purge.longest_lock_milliseconds = max(self._purge.longest_lock_milliseconds, round(held, 1))


def measure(url: str, rows: int) -> Purge:
    """Write so many rows that are over, and let the job remove them. The database has the application's tables."""
    purge = Purge(rows)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(_SEED, {"rows": rows, "kept": KEPT})
        conn.execute("ANALYZE smm.sessions")
        settings = Settings(file=CONFIGURATION, database_url=url, environment={})
        conn.execute(_ASKS, {"organization": SYSTEM.organization_id, "user": SYSTEM.user_id})
        queue = AsyncQueue(settings, wake="off")
        app = App(queue=queue, jobs=JOBS, handle=lambda: open_application(queue), settings=settings)
        began = time.perf_counter()
        with Watch(purge).watching():
            asyncio.run(work_async(app, url))
        purge.seconds = round(time.perf_counter() - began, 1)
        [purge.left, kept] = conn.execute(
            "SELECT count(*) FILTER (WHERE expires_at < now() - interval '30 days'),"
            " count(*) FILTER (WHERE expires_at >= now() - interval '30 days') FROM smm.sessions"
        ).fetchone() or (0, 0)
        purge.gone = KEPT - kept
    return purge


def main(
    *,
    rows: Annotated[int, typer.Option(min=1, max=5_000_000, help="How many rows are over.")] = 1_000_000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure the purge of very many rows. Exit code 0: no lock was held for more than 200 ms."""
    with temporary_server() as server, TemporaryDirectory() as objects:
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("sqlalchemy.url", server.url().replace("%", "%%"))
        command.upgrade(config, "heads")
        os.environ |= {
            "SMM_FERNET_KEYS": Fernet.generate_key().decode(),
            "SMM_FINGERPRINT_KEY": token_hex(16),
            "SMM_STORAGE_DIRECTORY": objects,
        }
        purge = measure(server.url(), rows)
    shown = asdict(purge)
    print(dumps(shown) if json else "\n".join(f"{name:28} {value}" for name, value in shown.items()))
    raise SystemExit(0 if purge.ok else 1)


if __name__ == "__main__":
    typer.run(main)
