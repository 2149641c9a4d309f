"""Merging reads what a batch needs, whatever else is live, and no table from end to end."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from tests.plans.test_hot_queries import buffers, fill_some
from tests.sql.client import NO_TERM, Connection, Relay, claim, statement

pytestmark = pytest.mark.own_database

LIVE = 30_000
ENQUEUE = """
SELECT count(pgqueue.enqueue('K', '{}', 'org', 'user', unique_key => n::text, unique_while => %(while)s,
  on_conflict => CASE WHEN n %% 2 = 0 THEN 'replace' ELSE 'skip' END,
  unique_period => CASE WHEN n %% 10 = 5 THEN interval '1 hour' END))
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
READ_WHOLE = """
SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'pgqueue' AND seq_scan > 0
  AND relname IN ('outbox', 'jobs', 'merged_jobs', 'unique_periods')
"""


def enqueue(conn: Connection, first: int, last: int, keeps: str = "live") -> None:
    conn.execute(cast("Any", ENQUEUE), {"first": first, "last": last, "while": keeps})


def fill(conn: Connection) -> None:
    """Live jobs with the hashes that `enqueue` gives to 1 … LIVE."""
    fill_some(conn, LIVE)
    conn.execute(
        """UPDATE pgqueue.jobs SET unique_hash = sha256(convert_to('3:org1:K' || length(id::text) || ':' || id, 'UTF8'))
           WHERE unique_hash IS NULL"""
    )


@pytest.mark.parametrize("analysed", ["never", "when it was empty", "as it is"])
def test_a_batch_of_unique_jobs_reads_no_table_from_end_to_end(conn: Connection, analysed: str) -> None:
    if analysed == "when it was empty":
        conn.execute("VACUUM ANALYZE pgqueue.jobs, pgqueue.outbox, pgqueue.merged_jobs, pgqueue.unique_periods")
    fill(conn)
    if analysed == "as it is":
        conn.execute("VACUUM ANALYZE pgqueue.jobs, pgqueue.outbox, pgqueue.merged_jobs, pgqueue.unique_periods")
    relay = Relay(conn, NO_TERM)
    claim(conn, 100)
    conn.execute("DELETE FROM pgqueue.pins")
    for keeps, start in (("live", LIVE + 1), ("waiting", 2 * LIVE)):
        enqueue(conn, 1, 200, keeps)  # live and running
        enqueue(conn, start, start + 199, keeps)  # new
        with conn.transaction():
            before = conn.execute(READ_WHOLE).fetchall()  # what this session did before is only reported now and then
            assert relay.call()["relayed"] == 400
            assert conn.execute(READ_WHOLE).fetchall() == before
        conn.execute(
            "UPDATE pgqueue.jobs SET unique_hash = NULL WHERE id > (SELECT max(survivor) FROM pgqueue.merged_jobs)"
        )


def test_what_merging_reads_does_not_grow_with_what_is_live(conn: Connection) -> None:
    """Planned while nothing was live, as in a quiet queue; a process keeps such a plan for as long as it lives."""
    relay = Relay(conn, NO_TERM)
    text = statement("relay").replace("%(term)s", "%(term)s::interval")
    for _ in range(2):
        enqueue(conn, 1, 5000)
        figures = []
        for _ in range(5):
            params = {"state": json.dumps(relay.state), "batch": 1000, "term": NO_TERM, "wake": None, "stuck": "[]"}
            figures.append(buffers(conn, text, params))
            relay.state = None
        conn.execute("DELETE FROM pgqueue.jobs")
        conn.execute("DELETE FROM pgqueue.unique_periods")
        conn.execute("VACUUM pgqueue.jobs, pgqueue.outbox, pgqueue.merged_jobs")
    assert figures[-1] < figures[0] * 1.5, figures
