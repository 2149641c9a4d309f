"""Concurrency limits: a job has its permits from its position until it lets go, and never more than may have one."""

from __future__ import annotations

import json
from typing import Any, cast

import psycopg
import pytest

from tests.sql.client import (
    NO_TERM,
    Connection,
    Relay,
    claim,
    ended,
    enqueue,
    enqueue_row,
    expire_leases,
    held,
    rescue,
    scalar,
    settle,
    statement,
    taken,
)

TWO = ["2 mail=acme"]


def claimed_ids(conn: Connection, limit: int = 100, queue: str = "default") -> list[int]:
    return sorted(job.id for job in claim(conn, limit, queue))


def test_no_more_jobs_of_a_key_get_a_position_than_may_run(conn: Connection, relay: Relay) -> None:
    jobs = enqueue_row(conn, 5, limits=TWO)
    relay.tick()
    assert claimed_ids(conn) == jobs[:2]
    assert held(conn) == dict.fromkeys(jobs[2:], "limit:mail=acme")


def test_jobs_of_a_source_whose_clock_is_ahead_are_limited_too(conn: Connection, relay: Relay) -> None:
    ahead = scalar(conn, "SELECT pgqueue.clock() + interval '1 minute'")
    jobs = enqueue_row(conn, 5, limits=TWO, enqueued_at=ahead)
    relay.tick()
    assert claimed_ids(conn) == jobs[:2]
    assert held(conn) == dict.fromkeys(jobs[2:], "limit:mail=acme")


def test_a_full_key_does_not_delay_others(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 50, limits=TWO)
    other = [*enqueue_row(conn, 2, limits=["2 mail=other"]), enqueue(conn)]
    relay.tick()
    assert set(other) < set(claimed_ids(conn))


def test_a_job_that_is_held_spends_nothing(conn: Connection, relay: Relay) -> None:
    jobs = enqueue_row(conn, 3, limits=TWO)
    relay.tick()
    claim(conn)
    assert conn.execute("SELECT attempt, claims FROM pgqueue.jobs WHERE id = %s", [jobs[2]]).fetchone() == (0, 0)


@pytest.mark.parametrize("moment", ["complete", "cancel", "discard", "retry", "snooze", "give_back", "bury"])
def test_every_way_to_let_go_admits_the_oldest_that_waits(conn: Connection, relay: Relay, moment: str) -> None:
    jobs = enqueue_row(conn, 4, limits=TWO)
    relay.tick()
    first, _ = sorted(claim(conn), key=lambda job: job.id)
    settle(conn, ended(first, moment, 3600))
    relay.tick()
    assert claimed_ids(conn) == [jobs[2]]
    assert taken(conn, "mail=acme") == 2


def test_a_rescued_job_lets_go_of_its_permit(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 4, limits=TWO)
    relay.tick()
    jobs = claim(conn)
    expire_leases(conn)
    assert rescue(conn, jobs) == {job.id for job in jobs}
    for _ in range(3):
        relay.tick()
    assert len(claim(conn)) == 2
    assert taken(conn, "mail=acme") == 2


def test_a_ready_job_that_is_cancelled_lets_go_of_its_permit(conn: Connection, relay: Relay) -> None:
    jobs = enqueue_row(conn, 3, limits=TWO)
    relay.tick()
    assert scalar(conn, "SELECT pgqueue.cancel(%s, '1 hour', '')", jobs[0]) == "cancelled"
    relay.tick()
    assert claimed_ids(conn) == jobs[1:]


def test_a_retry_passes_the_limit_again(conn: Connection, relay: Relay) -> None:
    jobs = enqueue_row(conn, 3, limits=["1 mail=acme"])
    relay.tick()
    settle(conn, *(ended(job, "retry", 0) for job in claim(conn)))
    relay.tick()  # the second job is older among those that are held
    assert claimed_ids(conn) == [jobs[1]]
    assert held(conn).keys() == {jobs[0], jobs[2]}


def test_a_job_with_several_keys_takes_all_or_none(conn: Connection, relay: Relay) -> None:
    blocker = enqueue_row(conn, 1, limits=["1 a"])
    both = enqueue_row(conn, 1, limits=["1 a", "1 b"])
    behind = enqueue_row(conn, 1, limits=["1 b"])
    relay.tick()
    assert claimed_ids(conn) == [*blocker, *behind]
    assert held(conn) == {both[0]: "limit:a"}


def test_a_job_that_waits_for_its_second_key_leaves_the_first_to_others(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 1, limits=["1 a"])
    relay.tick()
    (first,) = claim(conn)
    both = enqueue_row(conn, 1, limits=["1 a", "1 b"])
    behind = enqueue_row(conn, 1, limits=["1 a"])
    relay.tick()
    enqueue_row(conn, 1, limits=["1 b"])
    relay.tick()
    (second,) = claim(conn)
    settle(conn, ended(first, "complete"))
    relay.tick()  # `both` finds b full
    relay.tick()  # and `behind` takes the room it left
    assert claimed_ids(conn) == behind
    assert held(conn) == {both[0]: "limit:b"}
    settle(conn, ended(second, "complete"))
    relay.tick()
    assert held(conn) == {both[0]: "limit:a"}


def test_permits_are_those_of_the_jobs_that_have_a_position(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 300, limits=["7 a", "5 b"])
    for _ in range(100):
        relay.tick()
        settle(conn, *(ended(job, "complete") for job in claim(conn, 3)))
    relay.tick()
    assert scalar(conn, "SELECT count(*) FROM pgqueue.jobs") == 300 - 300
    relay.tick()
    assert scalar(conn, "SELECT count(*) FROM pgqueue.permits") == 0


def test_a_relay_that_rolls_back_gives_no_permit(conn: Connection, other: Connection, relay: Relay) -> None:
    enqueue_row(conn, 3, limits=TWO)
    Relay(other, NO_TERM).call()
    other.rollback()
    assert taken(conn, "mail=acme") == 0
    relay.tick()
    assert taken(conn, "mail=acme") == 2


def test_a_permit_counts_until_its_settlement_is_committed(conn: Connection, other: Connection, relay: Relay) -> None:
    enqueue_row(conn, 3, limits=TWO)
    relay.tick()
    settle(other, *(ended(job, "complete") for job in claim(conn)))
    relay.tick()
    assert claim(conn) == []
    other.commit()
    relay.tick()
    assert len(claim(conn)) == 1


def test_a_relay_that_comes_anew_sees_what_was_let_go_before(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 3, limits=TWO)
    relay.tick()
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    relay.state = None
    relay.term = NO_TERM
    relay.tick()
    assert len(claim(conn)) == 1


@pytest.mark.own_database
def test_an_old_snapshot_does_not_make_counting_slower(conn: Connection, database_url: str, relay: Relay) -> None:
    enqueue_row(conn, 3000, limits=["50 mail=acme"], lane=1)
    relay.tick()

    def pages() -> int:
        row = conn.execute(
            """EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM pgqueue.room('{mail=acme}', '{50}', %s::jsonb)""",
            [json.dumps(relay.state["freed"]["lows"] if relay.state and relay.state["freed"] else {})],
        ).fetchone()
        assert row
        plan = row[0][0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    pages()
    before = pages()
    with psycopg.connect(database_url) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1")
        for _ in range(45):
            settle(conn, *(ended(job, "complete", 0) for job in claim(conn, 50)))
            relay.tick()
        assert taken(conn, "mail=acme") == 50
        assert pages() <= before + 10


def test_a_limited_job_behind_locked_ones_is_not_promoted_without_a_permit(
    conn: Connection, database_url: str, relay: Relay
) -> None:
    enqueue_row(conn, 1, limits=["1 mail=acme"])
    (plain,) = enqueue_row(conn, 1)
    (limited,) = enqueue_row(conn, 1, limits=["1 mail=acme"])
    relay.tick()
    with conn.transaction():
        conn.execute(
            "UPDATE pgqueue.jobs SET position = NULL, hold = NULL, run_at = pgqueue.clock() WHERE id = %s", [plain]
        )
        conn.execute(
            """UPDATE pgqueue.jobs SET position = NULL, hold = NULL, permit = NULL, run_at = pgqueue.clock()
               WHERE id = %s""",
            [limited],
        )
    relay.batch = 1
    with psycopg.connect(database_url) as somebody:
        somebody.execute("SELECT FROM pgqueue.jobs WHERE id = %s FOR UPDATE", [plain])
        relay.tick()
    relay.tick()
    relay.tick()
    assert held(conn) == {limited: "limit:mail=acme"}
    assert taken(conn, "mail=acme") == 1


def test_held_jobs_of_a_paused_queue_keep_nobody_waiting_until_it_is_empty(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 2, limits=["1 mail=acme"])
    relay.tick()
    left = cast("Any", statement("work_left"))
    queues = {"queues": ["default"]}
    assert conn.execute(left, queues).fetchone() == (True,)
    conn.execute("UPDATE pgqueue.queues SET paused_at = pgqueue.clock()")
    assert conn.execute(left, queues).fetchone() == (False,)
