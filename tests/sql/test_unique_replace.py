"""on_conflict: what the newest of equal jobs changes, and what it must not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.sql.client import (
    NO_TERM,
    Connection,
    Relay,
    advance_clock,
    claim,
    column,
    ended,
    enqueue,
    enqueue_row,
    scalar,
    settle,
    state_of,
)
from tests.sql.keyed import due_in, keyed, number, survivor


def test_replace_gives_the_waiting_job_the_newest_arguments_and_time(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, n=1, delay="1 hour", on_conflict="replace")
    relay.tick()
    second = keyed(conn, n=2, delay="2 hours", on_conflict="replace", payload_version=7)
    relay.tick()
    assert survivor(conn, second) == first
    assert number(conn, first) == 2
    assert due_in(conn, first) == pytest.approx(7200, abs=60)
    assert scalar(conn, "SELECT payload_version FROM pgqueue.jobs") == 7


def test_replace_may_call_a_waiting_job_in_and_send_a_ready_one_away(conn: Connection, relay: Relay) -> None:
    job = keyed(conn, delay="1 hour", on_conflict="replace")
    relay.tick()
    keyed(conn, n=1, on_conflict="replace")
    relay.tick()
    assert state_of(conn, job) == "ready"
    keyed(conn, n=2, delay="1 hour", on_conflict="replace")
    relay.tick()
    assert state_of(conn, job) == "waiting"
    assert claim(conn) == []
    conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")
    relay.tick()
    assert [found.id for found in claim(conn)] == [job]


def test_replace_args_keeps_the_time(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, n=1, delay="1 hour", on_conflict="replace_args")
    relay.tick()
    keyed(conn, n=2, delay="5 hours", on_conflict="replace_args")
    relay.tick()
    assert number(conn, first) == 2
    assert due_in(conn, first) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(("policy", "hours"), [("replace", 3), ("replace_args", 1)])
def test_of_jobs_that_replace_each_other_in_one_batch_the_newest_stays(
    conn: Connection, relay: Relay, policy: str, hours: int
) -> None:
    jobs = [keyed(conn, n=n, delay=f"{n} hours", on_conflict=policy) for n in (1, 2, 3)]
    relay.tick()
    assert column(conn, "SELECT id FROM pgqueue.jobs") == jobs[2:]
    assert [survivor(conn, job) for job in jobs[:2]] == jobs[2:] * 2
    assert number(conn, jobs[2]) == 3
    assert due_in(conn, jobs[2]) == pytest.approx(hours * 3600, abs=60)


def test_replace_respects_the_backoff_of_a_retry(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, n=1, on_conflict="replace")
    relay.tick()
    (job,) = claim(conn)
    settle(conn, ended(job, "retry", 3600, "{}"))
    keyed(conn, n=2, on_conflict="replace")
    relay.tick()
    assert (state_of(conn, first), number(conn, first)) == ("waiting", 2)
    assert due_in(conn, first) == pytest.approx(3600, abs=60)


def test_replacing_a_running_job_means_to_follow_it(conn: Connection, relay: Relay) -> None:
    keyed(conn, n=1, on_conflict="replace")
    relay.tick()
    (running,) = claim(conn)
    second = keyed(conn, n=2, on_conflict="replace")
    relay.tick()
    third = keyed(conn, n=3, on_conflict="replace")
    relay.tick()
    assert (state_of(conn, second), survivor(conn, third)) == ("held", second)
    settle(conn, ended(running, "retry", 0, "{}"))
    relay.tick()
    (again,) = claim(conn)
    assert again.id == running.id
    settle(conn, ended(again, "complete"))
    relay.tick()
    assert [job.id for job in claim(conn)] == [second]
    assert number(conn, second) == 3


def test_a_follower_waits_for_its_own_time_too(conn: Connection, relay: Relay) -> None:
    keyed(conn, n=1, on_conflict="replace")
    relay.tick()
    (running,) = claim(conn)
    second = keyed(conn, n=2, delay="1 hour", on_conflict="replace")
    relay.tick()
    settle(conn, ended(running, "complete"))
    relay.tick()
    assert state_of(conn, second) == "waiting"
    assert due_in(conn, second) == pytest.approx(3600, abs=60)
    merged = keyed(conn)
    relay.tick()
    assert survivor(conn, merged) == second


def test_a_job_that_a_claim_has_locked_is_not_replaced_but_followed(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    first = keyed(conn, n=1, on_conflict="replace")
    relay.tick()
    assert [job.id for job in claim(other)] == [first]
    second = keyed(conn, n=2, on_conflict="replace")
    relay.tick()
    assert state_of(conn, second) == "enqueued"
    other.commit()
    relay.tick()
    assert (state_of(conn, second), number(conn, first)) == ("held", 1)


def test_a_debounced_job_is_moved_no_further_than_max_wait(conn: Connection, relay: Relay) -> None:
    options: dict[str, Any] = {
        "unique_while": "waiting",
        "on_conflict": "replace",
        "delay": "30 s",
        "unique_max_wait": "100 s",
    }
    first = keyed(conn, n=0, **options)
    relay.tick()
    bound = scalar(conn, "SELECT enqueued_at + interval '100 s' FROM pgqueue.jobs")
    for n in range(1, 8):
        advance_clock(conn, timedelta(seconds=20 * n))
        keyed(conn, n=n, **options)
        relay.tick()
        assert scalar(conn, "SELECT run_at FROM pgqueue.jobs WHERE id = %s", first) <= max(
            bound, scalar(conn, "SELECT pgqueue.clock()")
        )
    assert (state_of(conn, first), number(conn, first)) == ("ready", 7)


def test_max_wait_counts_from_the_first_of_a_batch_as_well(conn: Connection, relay: Relay) -> None:
    options: dict[str, Any] = {"on_conflict": "replace", "delay": "30 s", "unique_max_wait": "100 s"}
    keyed(conn, **options)
    first = scalar(conn, "SELECT enqueued_at FROM pgqueue.outbox")
    advance_clock(conn, timedelta(seconds=90))
    newest = keyed(conn, n=1, **options)
    relay.tick()
    rows = conn.execute("SELECT id, enqueued_at, run_at FROM pgqueue.jobs").fetchall()
    assert rows == [(newest, first, first + timedelta(seconds=100))]


def test_a_time_beyond_all_times_is_no_reason_to_stop(conn: Connection, relay: Relay) -> None:
    jobs = [keyed(conn, on_conflict="replace") for _ in range(3)]
    conn.execute("UPDATE pgqueue.outbox SET enqueued_at = '9998-12-31', delay = '3650 days'")
    plain = enqueue(conn)
    relay.tick()
    assert state_of(conn, plain) == "ready"
    assert [state_of(conn, job) for job in jobs] == ["merged", "merged", "waiting"]


def test_a_job_replaced_while_it_is_held_leaves_the_key_it_no_longer_asks_for(conn: Connection, relay: Relay) -> None:
    def unique(key: str, hashed: bytes) -> int:
        return enqueue_row(
            conn, limits=[f"1 mail={key}"], unique_hash=hashed, unique_while="live", on_conflict="replace"
        )[0]

    first = enqueue_row(conn, limits=["1 mail=a"])[0]
    moving = unique("a", b"m")
    waiting = enqueue_row(conn, limits=["1 mail=a"])[0]
    relay.tick()
    unique("b", b"m")
    relay.tick()
    (claimed,) = [job for job in claim(conn) if job.id == first]
    settle(conn, ended(claimed, "complete"))
    for _ in range(3):
        relay.tick()
    assert {moving, waiting} == set(column(conn, "SELECT id FROM pgqueue.jobs WHERE position IS NOT NULL"))


def test_a_ready_job_that_gets_a_limit_by_replacement_takes_a_permit(conn: Connection, relay: Relay) -> None:
    job = enqueue_row(conn, unique_hash=b"m", unique_while="live", on_conflict="replace")[0]
    relay.tick()
    enqueue_row(conn, limits=["1 mail=a"], unique_hash=b"m", unique_while="live", on_conflict="replace")
    relay.tick()
    relay.tick()
    assert column(conn, "SELECT unnest(jobs) FROM pgqueue.permits") == [job]


def test_a_ready_job_that_is_replaced_by_one_of_another_key_counts_against_that_key(
    conn: Connection, relay: Relay
) -> None:
    taken = enqueue_row(conn, limits=["1 mail=b"])[0]
    job = enqueue_row(conn, limits=["1 mail=a"], unique_hash=b"m", unique_while="live", on_conflict="replace")[0]
    relay.tick()
    enqueue_row(conn, limits=["1 mail=b"], unique_hash=b"m", unique_while="live", on_conflict="replace")
    for _ in range(3):
        relay.tick()
    assert [c.id for c in claim(conn)] == [taken]
    assert scalar(conn, "SELECT hold FROM pgqueue.jobs WHERE id = %s", job) == "limit:mail=b"
    assert column(conn, "SELECT key FROM pgqueue.permits") == ["mail=b"]
