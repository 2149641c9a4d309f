"""Steering in SQL: loads are sampled within bounds, pauses end by themselves, orders are read whole."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from pgqueue.db import run
from pgqueue.queries.control import Control
from pgqueue.queries.supervision import Orders, Supervision
from tests.sql.client import WORKER, Connection, Relay, advance_clock, claim, enqueue, statement

if TYPE_CHECKING:
    from psycopg import sql

CONTROL, SUPERVISION = Control(), Supervision()
BACKLOG = """
INSERT INTO pgqueue.jobs (id, enqueued_at, position, correlation_id, trace_id, queue, kind, organization_id, user_id,
  args)
SELECT nextval('pgqueue.job_ids'), pgqueue.clock(), n, gen_random_uuid(), gen_random_uuid(), 'default', 'K', 'o', 'u',
  '{}'
FROM generate_series(1, 30000) AS n
"""


def loads(conn: Connection, *queues: str, most: int = 1000) -> dict[str, int]:
    return run(conn, SUPERVISION.loads(queues, most=most))


def test_the_load_of_a_queue_is_what_waits_for_a_slot(conn: Connection, relay: Relay) -> None:
    for queue in ("default", "default", "default", "other"):
        enqueue(conn, queue)
    relay.tick()
    claim(conn, 1)
    assert loads(conn, "default", "other", "unknown") == {"default": 2, "other": 1}


def test_a_paused_queue_has_no_load(conn: Connection, relay: Relay) -> None:
    enqueue(conn)
    relay.tick()
    assert run(conn, CONTROL.pause("default", by="ann"))
    assert loads(conn, "default") == {}


@pytest.mark.own_database
def test_a_long_queue_costs_no_more_than_the_bound(conn: Connection) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    conn.execute(BACKLOG)
    assert loads(conn, "default", most=1000) == {"default": 1000}
    text = cast("sql.SQL", f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('loads')}")
    row = conn.execute(text, {"queues": ["default"], "most": 1000}).fetchone()
    assert row
    plan: dict[str, Any] = row[0][0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1500, json.dumps(plan)


def test_a_pause_with_a_length_ends_when_it_is_over(conn: Connection) -> None:
    for queue in ("short", "long"):
        conn.execute("SELECT pgqueue.add_queue(%s)", [queue])
    run(conn, CONTROL.pause("short", by="ann", duration=timedelta(minutes=10)))
    run(conn, CONTROL.pause("long", by="ann"))
    assert run(conn, SUPERVISION.resume_due()) == []
    advance_clock(conn, timedelta(minutes=11))
    assert run(conn, SUPERVISION.resume_due()) == ["short"]
    assert run(conn, SUPERVISION.resume_due()) == []
    paused = conn.execute("SELECT name, paused_at IS NOT NULL, resume_at FROM pgqueue.queues ORDER BY name").fetchall()
    assert paused == [("long", True, None), ("short", False, None)]


def test_a_pause_without_a_length_takes_the_end_of_an_earlier_one_back(conn: Connection) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    run(conn, CONTROL.pause("default", by="ann", duration=timedelta(minutes=10)))
    run(conn, CONTROL.pause("default", by="bob"))
    assert conn.execute("SELECT paused_by, resume_at FROM pgqueue.queues").fetchall() == [("bob", None)]


def test_a_worker_reads_what_it_was_asked_and_every_override(conn: Connection) -> None:
    assert run(conn, SUPERVISION.orders(WORKER)) == Orders(None, {}, None, registered=False)
    conn.execute("SELECT pgqueue.add_queue(q) FROM unnest('{a,b,c}'::text[]) q")
    conn.execute(
        """INSERT INTO pgqueue.workers (id, host, pid, version, queues, kinds, concurrency)
           VALUES (%s, 'h', 1, '1', '{a}', '{}', 1)""",
        [WORKER],
    )
    run(conn, SUPERVISION.set_workers("a", 3, by="ann"))
    run(conn, SUPERVISION.set_workers("b", 1, by="ann"))
    run(conn, SUPERVISION.set_workers("b", None, by="ann"))
    run(conn, SUPERVISION.set_processes(4, by="bob"))
    assert run(conn, SUPERVISION.ask_workers("drain", by="eve", silent=timedelta(seconds=45))) == [WORKER]
    assert run(conn, SUPERVISION.orders(WORKER)) == Orders("drain", {"a": 3}, 4)
    told = [(one.table, one.name, one.value, one.set_by) for one in run(conn, SUPERVISION.overrides())]
    assert told == [("queues", "a", 3, "ann"), ("supervise", "processes", 4, "bob")]


@pytest.mark.parametrize("queue", ["", "nowhere", "a'; DROP TABLE x; --"])
def test_a_queue_that_is_not_there_is_not_scaled(conn: Connection, queue: str) -> None:
    assert run(conn, SUPERVISION.set_workers(queue, 3, by="ann")) == []
