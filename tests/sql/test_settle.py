"""settle: the one guard of every ending, and what each ending leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sql.client import (
    Claimed,
    Connection,
    Relay,
    Settlement,
    claim,
    ended,
    enqueue,
    expire_leases,
    rescue,
    scalar,
    settle,
    state_of,
)

MOMENTS = ["complete", "cancel", "discard", "retry", "snooze", "give_back", "refuse", "crash", "bury"]


def row(conn: Connection, job: int, *columns: str) -> tuple[Any, ...]:
    found = conn.execute(f"SELECT {', '.join(columns)} FROM pgqueue.jobs WHERE id = %s", [job]).fetchone()
    assert found
    return found


def claimed(conn: Connection, relay: Relay, count: int = 1) -> list[Claimed]:
    for _ in range(count):
        enqueue(conn)
    relay.tick()
    return claim(conn, count)


@pytest.mark.parametrize(
    ("moment", "state"), [("complete", "completed"), ("cancel", "cancelled"), ("discard", "discarded")]
)
def test_an_ended_job_is_kept_with_its_reason(conn: Connection, relay: Relay, moment: str, state: str) -> None:
    (job,) = claimed(conn, relay)
    assert settle(conn, ended(job, moment, 3600, "because")) == set()
    assert state_of(conn, job.id) == state
    assert scalar(conn, "SELECT reason FROM pgqueue.finished_jobs") == "because"
    assert scalar(conn, "SELECT keep_until - finished_at FROM pgqueue.finished_jobs").total_seconds() == 3600


def test_what_is_kept_for_no_time_leaves_nothing(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 2)
    settle(conn, ended(jobs[0], "complete", 0), ended(jobs[1], "complete", None))
    assert [state_of(conn, job.id) for job in jobs] == [None, None]


@pytest.mark.parametrize(
    ("moment", "attempt", "front"),
    [("retry", 1, False), ("snooze", 0, False), ("give_back", 0, True), ("refuse", 0, False), ("crash", 0, True)],
)
def test_a_postponed_job_waits_and_only_a_retry_spends_the_attempt(
    conn: Connection,
    relay: Relay,
    moment: str,
    attempt: int,
    front: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    (job,) = claimed(conn, relay)
    settle(conn, ended(job, moment, 60))
    assert state_of(conn, job.id) == "waiting"
    assert row(conn, job.id, "attempt", "front", "claims", "position", "claimed_by", "lease_until") == (
        attempt,
        front,
        1,
        None,
        None,
        None,
    )
    assert 58 < scalar(conn, "SELECT extract(epoch FROM run_at - pgqueue.clock())::float8 FROM pgqueue.jobs") <= 60


def test_a_retry_adds_its_error_to_the_history(conn: Connection, relay: Relay) -> None:
    (job,) = claimed(conn, relay)
    for n in range(23):
        settle(conn, ended(job, "retry", 0, json.dumps({"error": f"error {n}"})))
        relay.tick()
        (job,) = claim(conn)
    (errors,) = row(conn, job.id, "errors")
    assert [error["error"] for error in errors] == [f"error {n}" for n in range(23)]
    assert (errors[-1]["attempt"], job.attempt, job.claims) == (23, 24, 24)
    assert set(errors[-1]) == {"at", "attempt", "error"}


@pytest.mark.parametrize(
    ("moment", "crashes"), [("crash", 3), ("retry", 0), ("snooze", 0), ("give_back", 2), ("refuse", 2)]
)
def test_crashes_are_counted_in_a_row(conn: Connection, relay: Relay, moment: str, crashes: int) -> None:
    (job,) = claimed(conn, relay)
    conn.execute("UPDATE pgqueue.jobs SET crashes = 2")
    settle(conn, ended(job, moment, 0, '{"type": "ProcessDied"}'))
    assert row(conn, job.id, "crashes") == (crashes,)
    if moment == "crash":
        assert row(conn, job.id, "errors -> 0 ->> 'type'") == ("ProcessDied",)


def test_a_crash_is_fenced(conn: Connection, relay: Relay) -> None:
    (job,) = claimed(conn, relay)
    assert settle(conn, Settlement(job.id, job.claims + 1, "crash", 0, "{}")) == {job.id}
    assert row(conn, job.id, "crashes", "claimed_by IS NULL") == (0, False)


def test_the_crash_that_buries_is_counted_once(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 2)
    conn.execute("UPDATE pgqueue.jobs SET crashes = 2")
    conn.execute("UPDATE pgqueue.jobs SET crashes = 3, doomed = 'crashed' WHERE id = %s", [jobs[1].id])
    settle(conn, *(ended(job, "bury", note='{"reason": "crashed"}') for job in jobs))
    assert conn.execute("SELECT crashes FROM pgqueue.dead_jobs").fetchall() == [(3,), (3,)]


def test_a_buried_job_keeps_everything(conn: Connection, relay: Relay) -> None:
    (job,) = claimed(conn, relay)
    settle(conn, ended(job, "bury"))
    assert state_of(conn, job.id) == "dead"
    found = conn.execute("SELECT reason, error, error_type, fingerprint, attempt, claims, args FROM pgqueue.dead_jobs")
    assert found.fetchone() == ("dead", "it is dead", "Dead", "f", 1, 1, {})
    assert scalar(conn, "SELECT errors -> 0 ->> 'error' FROM pgqueue.dead_jobs") == "it is dead"


def test_a_batch_of_every_outcome_settles_in_one_call(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, len(MOMENTS))
    assert settle(conn, *(ended(job, m, 60) for job, m in zip(jobs, MOMENTS, strict=True))) == set()
    states = ["completed", "cancelled", "discarded", "waiting", "waiting", "waiting", "waiting", "waiting", "dead"]
    assert [state_of(conn, job.id) for job in jobs] == states


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_older_fence_changes_nothing(conn: Connection, relay: Relay, moment: str) -> None:
    (first,) = claimed(conn, relay)
    expire_leases(conn)
    rescue(conn, [first])
    relay.tick()
    (second,) = claim(conn)
    before = row(conn, first.id, "jobs::text")
    assert settle(conn, ended(first, moment, 0)) == {first.id}
    assert row(conn, first.id, "jobs::text") == before
    assert settle(conn, ended(second, "complete")) == set()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_that_waits_again_cannot_be_settled_twice(conn: Connection, relay: Relay, moment: str) -> None:
    (job,) = claimed(conn, relay)
    settle(conn, ended(job, "retry", 0))
    assert settle(conn, ended(job, moment, 0)) == {job.id}
    relay.tick()
    assert settle(conn, ended(job, moment, 0)) == {job.id}
    assert [again.claims for again in claim(conn)] == [2]


def test_lost_leases_are_named_and_their_neighbours_are_settled(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 3)
    endings = [ended(jobs[0], "complete"), Settlement(jobs[1].id, 9, "bury", None, "{}"), ended(jobs[2], "retry", 1)]
    assert settle(conn, *endings) == {jobs[1].id}
    assert [state_of(conn, job.id) for job in jobs] == ["completed", "running", "waiting"]


def test_two_batches_that_name_the_same_jobs_do_not_deadlock(conn: Connection, other: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 6)
    settle(other, *(ended(job, "complete") for job in jobs[:3]))
    conn.execute("SET lock_timeout = '50ms'")
    assert settle(conn, *(ended(job, "complete") for job in reversed(jobs[3:]))) == set()
    other.commit()
    assert settle(conn, *(ended(job, "complete") for job in jobs)) == {job.id for job in jobs}


def test_the_error_history_is_whole_and_only_old_tracebacks_are_dropped(conn: Connection) -> None:
    history = "[]"
    for attempt in range(1, 231):
        history = scalar(
            conn,
            "SELECT pgqueue.with_error(%s::jsonb, %s, %s, now())::text",
            history,
            '{"error": "no", "trace": "long"}',
            attempt,
        )
        if attempt == 100:
            assert [entry["attempt"] for entry in json.loads(history)] == list(range(1, 101))
    kept = json.loads(history)
    assert [entry["attempt"] for entry in kept] == list(range(31, 231))
    assert [entry["attempt"] for entry in kept if "trace" in entry] == list(range(211, 231))
