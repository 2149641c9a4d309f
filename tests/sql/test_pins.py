"""pins: a row that somebody keeps locked does not stop the mark, and is not lost behind it."""

from __future__ import annotations

import pytest

from tests.sql.client import NO_TERM, Connection, Marks, Relay, claim, column, ended, enqueue, settle

STUCK = [("default", 0)]


@pytest.fixture
def locked(conn: Connection, other: Connection) -> int:
    """Five jobs, the second one locked by somebody, all others claimed."""
    jobs = [enqueue(conn) for _ in range(5)]
    Relay(conn, NO_TERM).tick()
    other.execute("SELECT FROM pgqueue.jobs WHERE id = %s FOR UPDATE", [jobs[1]])
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    return jobs[1]


def test_the_mark_stands_until_the_row_is_pinned(conn: Connection, locked: int) -> None:
    relay = Relay(conn, NO_TERM)
    assert relay.tick()["lagging"] == [["default", 0, 2]]
    assert relay.tick(stuck=STUCK)["lagging"] == [["default", 0, 2]]
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == [locked]
    assert Marks.of(conn).v == 2  # published only when the pin is committed
    assert relay.tick()["lagging"] == []
    assert Marks.of(conn).v == 6


def test_a_pinned_row_runs_when_its_lock_is_gone(conn: Connection, other: Connection, locked: int) -> None:
    relay = Relay(conn, NO_TERM)
    relay.tick(stuck=STUCK)
    relay.tick()
    assert claim(conn) == []
    other.rollback()
    assert relay.tick()["woken"] == ["default"]
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == []
    assert [job.id for job in claim(conn)] == [locked]


def test_a_pin_that_rolls_back_moves_no_mark(conn: Connection, other: Connection, locked: int) -> None:
    relay = Relay(conn, NO_TERM)
    with conn.transaction(force_rollback=True):
        relay.call(stuck=STUCK)
    relay.tick()
    assert Marks.of(conn).v == 2
    other.rollback()
    assert [job.id for job in claim(conn)] == [locked]


def test_a_release_that_rolls_back_is_made_again(conn: Connection, other: Connection, locked: int) -> None:
    relay = Relay(conn, NO_TERM)
    relay.tick(stuck=STUCK)
    relay.tick()
    other.rollback()
    with conn.transaction(force_rollback=True):
        relay.call()
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == [locked]
    relay.tick()
    assert [job.id for job in claim(conn)] == [locked]


def test_a_pinned_row_whose_locker_deletes_it_is_forgotten(conn: Connection, other: Connection, locked: int) -> None:
    relay = Relay(conn, NO_TERM)
    relay.tick(stuck=STUCK)
    other.execute("DELETE FROM pgqueue.jobs WHERE id = %s", [locked])
    other.commit()
    relay.tick()
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == []


def test_a_pinned_claim_in_flight_that_commits_is_forgotten(conn: Connection, other: Connection) -> None:
    jobs = [enqueue(conn) for _ in range(3)]
    relay = Relay(conn, NO_TERM)
    relay.tick()
    claim(other, 1)
    claim(conn, 2)
    relay.tick(stuck=STUCK)
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == [jobs[0]]
    other.commit()
    relay.tick()
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == []
    assert Marks.of(conn).v == 4


def test_nothing_is_pinned_when_nothing_is_locked(conn: Connection) -> None:
    enqueue(conn)
    relay = Relay(conn, NO_TERM)
    relay.tick()
    relay.tick(stuck=STUCK)
    assert column(conn, "SELECT job_id FROM pgqueue.pins") == []


def test_a_pin_of_an_older_position_does_not_count_for_the_new_one(
    conn: Connection, other: Connection, locked: int
) -> None:
    """The net promoted the job before any relay forgot the pin: the mark must not pass it."""
    relay = Relay(conn, NO_TERM)
    relay.tick(stuck=STUCK)
    other.rollback()
    settle(conn, *(ended(job, "retry", 0, "{}") for job in claim(conn)))
    conn.execute("SELECT pgqueue.sweep_waiting()")
    relay.tick()
    assert [job.id for job in claim(conn)] == [locked]
