"""What a look at schedules touches must not grow with the entries that are not due, or with the ledger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from pgqueue.queries.schedules import Recurrence

if TYPE_CHECKING:
    from tests.sql.client import Connection


pytestmark = pytest.mark.own_database

FILL = """
INSERT INTO pgqueue.schedules (name, kind, queue, cron, organization_id, user_id, next_run_at)
SELECT 'entry-' || n, 'K', 'default', '0 0 1 1 *', 'org', 'user', pgqueue.clock() + n * interval '1 hour'
FROM generate_series(1, %s) AS n
"""
LEDGER = """
INSERT INTO pgqueue.schedule_runs (schedule, tick, job_id)
SELECT 'entry-' || n % 10, pgqueue.clock() - n * interval '1 second', n FROM generate_series(1, 50000) AS n
"""


def pages(conn: Connection, plan: list[dict[str, Any]]) -> int:
    query = Recurrence().tick(plan, [], ahead=timedelta(seconds=6))
    row = conn.execute(cast("Any", f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.sql}"), query.params).fetchone()
    assert row
    found = row[0][0]["Plan"]
    return int(found["Shared Hit Blocks"] + found["Shared Read Blocks"])


def due(conn: Connection) -> list[dict[str, Any]]:
    """Ten entries whose tick has come."""
    conn.execute("UPDATE pgqueue.schedules SET next_run_at = pgqueue.clock() - interval '1 s' WHERE name ~ '^entry-.$'")
    rows = conn.execute("SELECT jsonb_agg(to_jsonb(s)) FROM pgqueue.schedules s WHERE name ~ '^entry-.$'").fetchone()
    assert rows
    return [
        {
            "name": one["name"],
            "since": one["next_run_at"],
            "at": one["next_run_at"],
            "until": "2099-01-01T00:00:00Z",
            "next": "2098-01-01T00:00:00Z",
            "missed": 0,
            "ticks": [one["next_run_at"]],
        }
        for one in json.loads(json.dumps(rows[0]))
    ]


def test_a_look_and_a_tick_do_not_grow_with_what_is_not_due(conn: Connection) -> None:
    conn.execute(FILL, [100])
    pages(conn, due(conn))  # a session's first look reads the catalogue
    conn.execute("DELETE FROM pgqueue.schedule_runs")
    few = pages(conn, []), pages(conn, due(conn))
    conn.execute("DELETE FROM pgqueue.schedules")
    conn.execute("TRUNCATE pgqueue.schedule_runs")
    conn.execute(FILL, [10_000])
    conn.execute(LEDGER)
    conn.execute("VACUUM pgqueue.schedules")
    pages(conn, [])  # and again after a change of the tables
    many = pages(conn, []), pages(conn, due(conn))
    assert many[0] < few[0] + 20
    assert many[1] < few[1] + 300
    assert conn.execute("SELECT count(*) FROM pgqueue.outbox").fetchone() == (27,)
