"""Uniqueness: one live job of each hash, every other id leads to it, and nobody ever waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgqueue.unique import hash_of
from tests.sql.client import (
    NO_TERM,
    Connection,
    Relay,
    advance_clock,
    claim,
    column,
    ended,
    enqueue,
    expire_leases,
    rescue,
    scalar,
    settle,
    state_of,
)
from tests.sql.keyed import keyed, survivor


def test_of_equal_jobs_in_one_batch_the_first_stays(conn: Connection, relay: Relay) -> None:
    first, second, third = (keyed(conn, n=n) for n in range(3))
    other = keyed(conn, "another")
    assert relay.tick()["relayed"] == 4
    assert {job.id for job in claim(conn)} == {first, other}
    assert [survivor(conn, job) for job in (second, third)] == [first, first]
    assert scalar(conn, "SELECT count(*) FROM pgqueue.outbox") == 0


def test_a_later_one_is_merged_into_the_live_one_and_its_id_says_so(conn: Connection, relay: Relay) -> None:
    first = keyed(conn)
    relay.tick()
    second = keyed(conn)
    relay.tick()
    assert state_of(conn, second) == "merged"
    assert scalar(conn, "SELECT reason FROM pgqueue.all_jobs WHERE id = %s", second) == f"merged into job {first}"


def test_both_lanes_of_the_outbox_are_one_when_it_comes_to_uniqueness(conn: Connection, relay: Relay) -> None:
    jobs = [keyed(conn) for _ in range(4)]
    conn.execute("UPDATE pgqueue.outbox SET lane = 1 WHERE id = ANY (%s)", [jobs[1:3]])
    assert relay.tick()["relayed"] == 4
    assert column(conn, "SELECT id FROM pgqueue.jobs") == jobs[:1]


def test_the_marks_pass_merged_ids(conn: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    for _ in range(4):
        last = keyed(conn)
        relay.tick()
        relay.tick()
    assert scalar(conn, "SELECT pg_sequence_last_value('pgqueue.outbox_mark_single')") == last
    assert relay.state is not None
    assert relay.state["gaps"] == "{}"


@pytest.mark.parametrize("moment", ["retry", "snooze", "give_back"])
def test_the_hash_is_held_without_a_gap_until_the_end(conn: Connection, relay: Relay, moment: str) -> None:
    first = keyed(conn)
    relay.tick()
    for _ in range(2):
        (job,) = claim(conn)
        relay.tick()
        settle(conn, ended(job, moment, 0, "{}" if moment == "retry" else None))
        later = keyed(conn)
        relay.tick()
        assert survivor(conn, later) == first
    (job,) = claim(conn)
    settle(conn, ended(job, "complete"))
    fresh = keyed(conn)
    relay.tick()
    assert [job.id for job in claim(conn)] == [fresh]


def test_a_rescued_job_still_holds_its_hash(conn: Connection, relay: Relay) -> None:
    first = keyed(conn)
    relay.tick()
    jobs = claim(conn)
    expire_leases(conn)
    assert rescue(conn, jobs) == {first}
    later = keyed(conn)
    relay.tick()
    assert survivor(conn, later) == first


def test_hashes_do_not_collide_across_organizations_kinds_and_keys(conn: Connection) -> None:
    lists = [
        ("ab", "c", "d"),
        ("a", "bc", "d"),
        ("a", "b", "cd"),
        ("a", "b", "c"),
        ("1:a", "b", "c"),
        ("a1:", "b", "c"),
        ("é", "ö", "x" * 10_000),
    ]
    for organization, kind, key in lists:
        conn.execute(
            "SELECT pgqueue.enqueue(%s, '{}', %s, 'user', unique_key => %s)",
            [kind, organization, key],
        )
    hashes = column(conn, "SELECT unique_hash FROM pgqueue.outbox ORDER BY id")
    assert hashes == [hash_of(*parts) for parts in lists]
    assert len(set(hashes)) == len(lists)


def test_enqueueing_what_an_open_transaction_has_enqueued_waits_for_nobody(conn: Connection, other: Connection) -> None:
    """With a lock_timeout, so that waiting would be an error."""
    theirs = keyed(other)
    conn.execute("SET lock_timeout = '1ms'")
    mine = keyed(conn)
    relay = Relay(conn, NO_TERM)
    relay.tick()
    assert [job.id for job in claim(conn)] == [mine]
    other.commit()
    relay.tick()
    assert survivor(conn, theirs) == mine


def test_a_rolled_back_twin_keeps_nobody_out(conn: Connection, other: Connection, relay: Relay) -> None:
    keyed(other)
    mine = keyed(conn)
    other.rollback()
    relay.tick()
    assert [job.id for job in claim(conn)] == [mine]


def test_while_waiting_a_running_job_lets_the_next_one_in(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, unique_while="waiting")
    relay.tick()
    merged = keyed(conn, unique_while="waiting")
    relay.tick()
    assert survivor(conn, merged) == first
    (running,) = claim(conn)
    second, third = keyed(conn, unique_while="waiting"), keyed(conn, unique_while="waiting")
    relay.tick()
    assert survivor(conn, third) == second
    assert [job.id for job in claim(conn)] == [second]
    assert settle(conn, ended(running, "retry", 0, "{}")) == set()


def test_a_locked_running_job_is_waited_for_by_nobody(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    first = keyed(conn, unique_while="waiting")
    relay.tick()
    claim(conn)
    other.execute("SELECT FROM pgqueue.jobs WHERE id = %s FOR UPDATE", [first])
    stuck = keyed(conn, unique_while="waiting")
    plain = enqueue(conn)
    for _ in range(3):
        relay.tick()
    assert (state_of(conn, stuck), state_of(conn, plain)) == ("enqueued", "ready")
    assert scalar(conn, "SELECT pg_sequence_last_value('pgqueue.outbox_mark_single')") < stuck
    other.rollback()
    relay.tick()
    assert state_of(conn, stuck) == "ready"


def test_a_locked_row_of_the_outbox_is_left_for_the_next_round(
    conn: Connection, other: Connection, relay: Relay
) -> None:
    jobs = [keyed(conn) for _ in range(3)]
    other.execute("SELECT FROM pgqueue.outbox WHERE id = %s FOR UPDATE", [jobs[0]])
    assert relay.tick()["relayed"] == 2
    assert [state_of(conn, job) for job in jobs] == ["enqueued", "ready", "merged"]
    other.rollback()
    relay.tick()
    assert survivor(conn, jobs[0]) == jobs[1]


def test_a_period_outlives_the_job_that_began_it(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, unique_period="1 hour")
    relay.tick()
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn)))
    second, third = keyed(conn, unique_period="1 hour"), keyed(conn, unique_period="1 hour")
    relay.tick()
    assert [survivor(conn, job) for job in (second, third)] == [first, first]
    advance_clock(conn, timedelta(hours=1, seconds=1))
    fresh = keyed(conn, unique_period="1 hour")
    relay.tick()
    assert [job.id for job in claim(conn)] == [fresh]


def test_two_periods_in_one_batch_are_two_jobs(conn: Connection, relay: Relay) -> None:
    """After an outage of the relay: what was enqueued hours apart stands side by side."""
    jobs = [keyed(conn, unique_period="1 hour") for _ in range(5)]
    for n, job in enumerate(jobs):
        conn.execute(
            "UPDATE pgqueue.outbox SET enqueued_at = enqueued_at + %s WHERE id = %s", [timedelta(minutes=40 * n), job]
        )
    for _ in range(4):
        relay.tick()
    assert [state_of(conn, job) for job in jobs] == ["ready", "merged", "ready", "merged", "ready"]


def test_a_period_that_is_over_lets_a_second_job_stand_beside_the_first(conn: Connection, relay: Relay) -> None:
    first = keyed(conn, unique_period="1 hour", delay="1 day")
    relay.tick()
    advance_clock(conn, timedelta(hours=2))
    second = keyed(conn, unique_period="1 hour")
    relay.tick()
    assert (state_of(conn, first), state_of(conn, second)) == ("waiting", "ready")
