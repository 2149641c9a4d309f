"""claim: first position first, never more than asked, never a row twice."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.sql.client import (
    NO_TERM,
    WORKER,
    Connection,
    Marks,
    Relay,
    advance_clock,
    claim,
    ended,
    enqueue,
    enqueue_bulk,
    scalar,
    settle,
    state_of,
)

PLANNER_SWITCHES = [
    "enable_indexscan",
    "enable_bitmapscan",
    "enable_indexonlyscan",
    "enable_nestloop",
    "enable_material",
    "enable_sort",
    "enable_tidscan",
    "enable_memoize",
]


def fill(conn: Connection, count: int) -> list[int]:
    with conn.transaction():
        jobs = enqueue_bulk(conn, count)
    Relay(conn, NO_TERM).tick()
    return jobs


def test_a_claimed_job_belongs_to_one_worker(conn: Connection) -> None:
    jobs = fill(conn, 3)
    assert [(job.id, job.attempt, job.claims) for job in claim(conn, 2)] == [(job, 1, 1) for job in jobs[:2]]
    assert [job.id for job in claim(conn, worker=UUID(int=2))] == jobs[2:]
    rows = conn.execute("SELECT claimed_by FROM pgqueue.jobs ORDER BY id").fetchall()
    assert [row[0].int for row in rows] == [1, 1, 2]


def test_claims_in_flight_are_passed_and_come_back_with_a_rollback(conn: Connection, other: Connection) -> None:
    jobs = fill(conn, 4)
    assert [job.id for job in claim(other, 2)] == jobs[:2]
    assert [job.id for job in claim(conn, 1)] == jobs[2:3]
    other.rollback()
    assert [job.id for job in claim(conn)] == [*jobs[:2], jobs[3]]


@pytest.mark.parametrize("switch", PLANNER_SWITCHES)
def test_a_claim_never_exceeds_its_limit_whatever_plan_is_taken(conn: Connection, switch: str) -> None:
    """Some plans run the limited subquery once per row; statistics say here that the table is empty."""
    conn.execute("ANALYZE pgqueue.jobs")
    fill(conn, 300)
    conn.execute(f"SET {switch} = off")
    for _ in range(7):  # past the fifth call PostgreSQL may take a generic plan
        assert len(claim(conn, 7)) == 7
    assert scalar(conn, "SELECT count(*) FROM pgqueue.jobs WHERE claimed_by IS NOT NULL") == 49


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_a_claim_never_exceeds_its_limit_with_stale_statistics(conn: Connection, mode: str) -> None:
    fill(conn, 1000)
    conn.execute("ANALYZE pgqueue.jobs")
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn, 950)))
    conn.execute(f"SET plan_cache_mode = {mode}")
    assert [len(claim(conn, 20)) for _ in range(3)] == [20, 20, 10]


def test_each_queue_has_its_own_limit(conn: Connection, relay: Relay) -> None:
    for queue in ("default", "default", "default", "high", "high"):
        enqueue(conn, queue)
    relay.tick()
    rows = conn.execute(
        "SELECT queue FROM pgqueue.claim(%s, ARRAY['high', 'unheard', 'default'], ARRAY[5, 5, 2], '30 s')", [WORKER]
    ).fetchall()
    assert [row[0] for row in rows] == ["high", "high", "default", "default"]


def test_a_limit_of_nothing_claims_nothing(conn: Connection) -> None:
    fill(conn, 2)
    assert claim(conn, 0) == []


def test_a_paused_queue_gives_nothing_until_it_is_resumed(conn: Connection) -> None:
    jobs = fill(conn, 2)
    conn.execute("UPDATE pgqueue.queues SET paused_at = pgqueue.clock() WHERE name = 'default'")
    assert claim(conn) == []
    conn.execute("UPDATE pgqueue.queues SET paused_at = NULL WHERE name = 'default'")
    assert [job.id for job in claim(conn)] == jobs


def test_a_claim_in_an_old_transaction_gets_a_full_lease(conn: Connection, other: Connection) -> None:
    other.execute("SELECT now()")
    fill(conn, 1)
    advance_clock(conn, timedelta(hours=1))
    claim(other, lease="30 s")
    left = scalar(other, "SELECT extract(epoch FROM lease_until - pgqueue.clock())::float8 FROM pgqueue.jobs")
    other.commit()
    assert 29 < left <= 30


def test_v_follows_the_claims_and_never_leads_them(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    fill(conn, 5)
    claim(conn, 2)
    claim(other, 1)
    relay.tick()
    assert Marks.of(conn).v == 3  # claimed by somebody who has not committed
    other.commit()
    relay.tick()
    assert Marks.of(conn).v == 4
    claim(conn)
    relay.tick()
    assert Marks.of(conn) == Marks(6, 5)


def test_a_row_locked_by_somebody_is_passed(conn: Connection, other: Connection) -> None:
    jobs = fill(conn, 3)
    other.execute("SELECT FROM pgqueue.jobs WHERE id = %s FOR UPDATE", [jobs[0]])
    assert [job.id for job in claim(conn)] == jobs[1:]
    assert state_of(conn, jobs[0]) == "ready"


def test_arguments_that_json_cannot_hold_in_python_stop_nobody(conn: Connection, relay: Relay) -> None:
    """They come as text: what one job holds is decoded for that job alone."""
    enqueue(conn)
    bad = enqueue(conn)
    conn.execute("UPDATE pgqueue.outbox SET args = '{\"n\": 1e400}' WHERE id = %s", [bad])
    relay.tick()
    texts = conn.execute("SELECT args FROM pgqueue.claim(%s, ARRAY['default'], ARRAY[9], '30 s')", [WORKER]).fetchall()
    assert [len(text) for (text,) in texts] == [2, 408]
