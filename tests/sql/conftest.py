"""One database for all tests of the SQL, made new between them: that is faster than a copy of the template."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue.testing import temporary_database
from tests.sql.client import Connection, Relay, advance_clock, column

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = ("outbox", "pins", "dead_jobs", "finished_jobs", "workers", "schedules", "schedule_runs", "marks", "queues")
UNIQUE_TABLES = ("merged_jobs", "unique_periods", "once_keys", "locks")
LIMITING = ("rates", "rate_waits", "permits", "freed", "limits", "shares", "weights")
RECORDS = "pgqueue.actions, pgqueue.breakers, pgqueue.alerts, pgqueue.alert_messages, pgqueue.attempt_counts"
GROWN = r"""
SELECT format('DROP %s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass) FROM pg_class
WHERE relnamespace = 'pgqueue'::regnamespace AND (
  (relkind = 'S' AND relname ~ '^(head|mark)_\d+_\d+$') OR
  (relkind = 'r' AND relname ~ '^finished_jobs_\d+$' AND
   to_date(right(relname, 8), 'YYYYMMDD') - (now() AT TIME ZONE 'UTC')::date NOT BETWEEN 0 AND 9))
"""
COUNTERS = ("job_ids", "outbox_mark_single", "outbox_mark_bulk", "promote_mark", "turn_relay", "turn_upkeep")
LIMIT_COUNTERS = ("freed_ids", "freed_mark", "permit_numbers")


@pytest.fixture(scope="session")
def shared_database_url(server: str, template: str) -> Iterator[str]:
    with temporary_database(server, template) as url:
        yield url


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    with psycopg.connect(shared_database_url) as connection:
        connection.execute("SET lock_timeout = '2s'")  # whoever left a transaction open is found here
        make_new(connection)
    return shared_database_url


def make_new(conn: Connection) -> None:
    """Leave nothing of the test before but the tables."""
    conn.execute(f"TRUNCATE pgqueue.jobs, {RECORDS}")
    for table in (*LIMITING, *TABLES, *UNIQUE_TABLES):
        conn.execute(f"DELETE FROM pgqueue.{table}")
    for drop in column(conn, GROWN):
        conn.execute(drop)
    for counter in (*COUNTERS, *LIMIT_COUNTERS):
        conn.execute(f"ALTER SEQUENCE pgqueue.{counter} RESTART")
    advance_clock(conn, timedelta())
    conn.execute("SELECT pgqueue.make_days(9)")


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    """Somebody else, in a transaction of their own."""
    with psycopg.connect(database_url) as connection:
        yield connection


@pytest.fixture
def relay(conn: Connection) -> Relay:
    return Relay(conn)
