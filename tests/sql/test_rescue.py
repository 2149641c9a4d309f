"""rescue: a job whose worker is gone comes back to the front, with the crash counted and the attempt given back."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.sql.client import (
    Connection,
    Marks,
    Relay,
    claim,
    claimed,
    ended,
    enqueue,
    expire_leases,
    rescue,
    scalar,
    settle,
    statement,
)


def rows(conn: Connection, name: str, **params: object) -> list[tuple[Any, ...]]:
    return conn.execute(cast("Any", statement(name)), params).fetchall()


def test_a_lease_that_holds_is_left_alone(conn: Connection, relay: Relay) -> None:
    assert rescue(conn, claimed(conn, relay, 2)) == set()


def test_a_rescued_job_runs_next_with_its_attempt_given_back(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    backlog = [enqueue(conn) for _ in range(3)]
    relay.tick()
    expire_leases(conn)
    assert rescue(conn, jobs) == {jobs[0].id}
    relay.tick()
    (again, _) = sorted(claim(conn, 2), key=lambda job: job.id)  # at V, beside the first unclaimed one
    assert (again.id, again.attempt, again.claims, again.crashes) == (jobs[0].id, 1, 2, 1)
    assert {job.id for job in claim(conn)} == set(backlog[1:])


def test_the_history_says_which_worker_was_lost(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    expire_leases(conn)
    rescue(conn, jobs)
    error = scalar(conn, "SELECT errors -> 0 FROM pgqueue.jobs")
    assert error["type"] == "WorkerLost"
    assert "00000000-0000-0000-0000-000000000001" in error["error"]


def test_the_third_crash_dooms_the_job(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    for _ in range(3):
        assert jobs[0].doomed is None
        expire_leases(conn)
        rescue(conn, jobs)
        relay.tick()
        jobs = claim(conn)
    assert (jobs[0].doomed, jobs[0].crashes) == ("crashed", 3)
    settle(conn, ended(jobs[0], "bury"))
    assert scalar(conn, "SELECT crashes FROM pgqueue.dead_jobs") == 3


def test_later_rescues_are_spread_over_time(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    delays = []
    for _ in range(2):
        expire_leases(conn)
        rescue(conn, jobs, backoff=10)
        delays.append(scalar(conn, "SELECT extract(epoch FROM run_at - pgqueue.clock())::float8 FROM pgqueue.jobs"))
        conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")
        relay.tick()
        jobs = claim(conn)
    assert delays[0] <= 0
    assert 9 < delays[1] <= 20


def test_a_job_that_was_claimed_again_is_not_rescued_for_its_past(conn: Connection, relay: Relay) -> None:
    first = claimed(conn, relay, 1)
    expire_leases(conn)
    rescue(conn, first)
    relay.tick()
    claim(conn)
    expire_leases(conn)
    assert rescue(conn, first) == set()


def test_a_job_that_is_being_settled_is_left_to_its_owner(conn: Connection, other: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 2)
    expire_leases(conn)
    settle(other, ended(jobs[0], "complete"))
    assert rescue(conn, jobs) == {jobs[1].id}
    other.commit()


@pytest.mark.own_database
def test_the_search_reads_one_range_of_positions(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 5)
    relay.term = "1 millisecond"
    relay.tick()
    marks = Marks.of(conn)
    assert marks == Marks(6, 5)
    span = {"queue": "default", "lane": 0, "limit": 100}
    assert [row[0] for row in rows(conn, "running_between", low=2, high=4, **span)] == [jobs[1].id, jobs[2].id]
    expire_leases(conn)
    told = {"ids": [job.id for job in jobs], "claims": [1, 1, 1, 1, 7]}
    assert rows(conn, "lost_leases", **told) == [(job.id, 1, True) for job in jobs[:4]]
