"""One database for many tests, made new between them: that is faster than a copy of the template for each."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.testing import temporary_database
from tests.sql.client import column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sql.client import Connection

KEEPER = "kept by the suite"
"""The application name of connections that outlive a test."""
KEPT = ("alembic_version", "stamp", "turns")
"""Tables whose rows are those of the migrations."""
EMPTIED = (
    *("jobs", "actions", "breakers", "alerts", "alert_messages", "attempt_counts"),
    *("rates", "rate_waits", "permits", "freed", "limits", "shares", "weights"),
    *("outbox", "pins", "dead_jobs", "finished_jobs", "workers", "schedules", "schedule_runs", "marks", "queues"),
    *("merged_jobs", "unique_periods", "once_keys", "locks", "carried", "sources", "overrides"),
)
_COUNTERS = {
    **dict.fromkeys(("job_ids", "freed_ids", "permit_numbers"), 1),
    **dict.fromkeys(
        ("outbox_mark_single", "outbox_mark_bulk", "promote_mark", "turn_relay", "turn_upkeep", "freed_mark"), 0
    ),
}
"""Where each begins."""
_GROWN = r"""
SELECT format('DROP %s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass) FROM pg_class
WHERE relnamespace = 'pgqueue'::regnamespace AND (
  (relkind = 'S' AND relname ~ '^((head|mark)_\d+|turn_carry)_\d+$') OR
  (relkind = 'r' AND relname ~ '^finished_jobs_\d+$' AND
   to_date(right(relname, 8), 'YYYYMMDD') - (now() AT TIME ZONE 'UTC')::date NOT BETWEEN 0 AND 9))
"""
_CLOCK = "SELECT pg_get_functiondef('pgqueue.clock'::regproc)"
_RENEWAL = "; ".join(
    [
        "SET LOCAL lock_timeout = '2s'",  # whoever left a transaction open is found here
        # actions are never deleted; for the others dead rows of a few jobs cost less than new files
        """DO $$ BEGIN
             IF EXISTS (SELECT FROM pgqueue.actions) THEN TRUNCATE pgqueue.actions; END IF;
             IF pg_relation_size('pgqueue.jobs') > 262144 THEN TRUNCATE pgqueue.jobs; END IF;
           END $$""",
        *(f"DELETE FROM pgqueue.{table}" for table in EMPTIED if table != "actions"),
        "DELETE FROM pgqueue.turns WHERE starts_with(name, 'carry_')",
        "SELECT setval('pgqueue.sources_number_seq', 1, false)",
        "SELECT " + ", ".join(f"setval('pgqueue.{name}', {start}, false)" for name, start in _COUNTERS.items()),
    ]
)


class KeptDatabase:
    """A database and a connection to it, both as long as the run."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._conn: Connection = _connect(url)
        [self._clock] = column(self._conn, _CLOCK)
        self._stamp = self._conn.execute("SELECT version, least_worker FROM pgqueue.stamp").fetchone()

    @contextmanager
    def renewed(self, more: str) -> Iterator[str]:
        """Give the address of what is as good as a new database, with ``more`` statements for what is not the queue's.

        Whoever leaves a connection on it fails the test.
        """
        conn = self._connection()
        with conn.transaction():
            if [self._clock] != column(conn, _CLOCK):
                conn.execute(self._clock)
            _make_new(conn)
            conn.execute("UPDATE pgqueue.stamp SET version = %s, least_worker = %s, carried_as = NULL", self._stamp)
            conn.execute(more)
        yield self.url
        left = connections_left(self._connection(), conn.info.dbname)
        assert not left, f"connections left open by the test: {left}"

    def close(self) -> None:
        self._conn.close()

    def _connection(self) -> Connection:
        with suppress(psycopg.OperationalError):  # a test that cuts all connections cuts this one
            self._conn.execute("SELECT")
        if self._conn.closed:
            self._conn = _connect(self.url)
        return self._conn


def _connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, application_name=KEEPER)


def connections_left(conn: Connection, name: str, patience: float = 2.0) -> list[tuple[Any, ...]]:
    """Who is still connected to a database; a connection that is just closing is given a moment to be gone.

    The suite's own may stay while they do nothing.
    """
    deadline = time.monotonic() + patience
    while True:
        left = conn.execute(
            """SELECT pid, application_name, state, left(query, 200) FROM pg_stat_activity
               WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                 AND NOT (application_name = %s AND state = 'idle')""",
            [name, KEEPER],
        ).fetchall()
        if not left or time.monotonic() > deadline:
            return left
        conn.execute("SELECT pg_sleep(0.005)")


def _make_new(conn: Connection) -> None:
    """Leave nothing of the test before but the tables."""
    conn.execute(_RENEWAL)
    for drop in column(conn, _GROWN):
        conn.execute(drop)
    conn.execute("SELECT pgqueue.make_days(9)")


@contextmanager
def keep_database(server: str, template: str) -> Iterator[KeptDatabase]:
    """A copy of the template, until the end."""
    with temporary_database(server, template) as url:
        kept = KeptDatabase(url)
        yield kept
        kept.close()
