"""promote: a job whose time has come gets its position."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.client import (
    NO_TERM,
    Connection,
    Marks,
    Relay,
    advance_clock,
    claim,
    ended,
    enqueue,
    scalar,
    settle,
    state_of,
    statement,
)


def test_a_delayed_job_waits_for_its_time(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn, delay="1 hour")
    relay.tick()
    assert state_of(conn, job) == "waiting"
    assert claim(conn) == []
    advance_clock(conn, timedelta(hours=1))
    assert relay.tick()["promoted"] == 1
    assert [claimed.id for claimed in claim(conn)] == [job]


def test_a_run_at_in_the_past_is_due_at_once(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn, run_at="2001-01-01 00:00Z")
    relay.tick()
    assert state_of(conn, job) == "ready"


def test_promoted_jobs_stand_behind_the_queue_and_given_back_ones_in_front(conn: Connection, relay: Relay) -> None:
    first, later = enqueue(conn), enqueue(conn, delay="1 minute")
    backlog = [enqueue(conn) for _ in range(3)]
    relay.tick()
    (claimed,) = claim(conn, 1)
    assert claimed.id == first
    settle(conn, ended(claimed, "give_back", seconds=0))
    advance_clock(conn, timedelta(minutes=2))
    relay.tick()
    order = [job.id for job in claim(conn)]
    assert set(order[:2]) == {first, backlog[0]}  # at V, beside the first one that was unclaimed
    assert order[2:] == [*backlog[1:], later]


def test_a_batch_promotes_the_earliest_first(conn: Connection, relay: Relay) -> None:
    jobs = [enqueue(conn, delay=f"{minutes} minutes") for minutes in (3, 1, 2)]
    relay.tick()
    advance_clock(conn, timedelta(hours=1))
    relay.batch = 2
    relay.tick()
    assert [state_of(conn, job) for job in jobs] == ["waiting", "ready", "ready"]
    relay.tick()
    assert [job.id for job in claim(conn)] == [jobs[1], jobs[2], jobs[0]]


def test_a_waiting_row_that_is_locked_does_not_stop_the_others(
    conn: Connection, other: Connection, relay: Relay
) -> None:
    locked, free = enqueue(conn, delay="1 minute"), enqueue(conn, delay="2 minutes")
    relay.tick()
    advance_clock(conn, timedelta(hours=1))
    other.execute("SELECT FROM pgqueue.jobs WHERE id = %s FOR UPDATE", [locked])
    relay.tick()
    assert [job.id for job in claim(conn)] == [free]
    other.rollback()
    relay.tick()
    assert [job.id for job in claim(conn)] == [locked]


def test_a_promotion_that_rolls_back_is_made_again(conn: Connection, other: Connection, relay: Relay) -> None:
    job = enqueue(conn, delay="1 minute")
    relay.tick()
    relay.state = None
    advance_clock(conn, timedelta(hours=1))
    assert Relay(other, NO_TERM).call()["promoted"] == 1
    other.rollback()
    Relay(conn, NO_TERM).tick()
    assert [claimed.id for claimed in claim(conn)] == [job]


def test_the_mark_follows_at_a_distance_and_the_sweep_needs_none(conn: Connection, relay: Relay) -> None:
    enqueue(conn, delay="1 minute")
    relay.tick()
    advance_clock(conn, timedelta(hours=1))
    relay.term = NO_TERM
    relay.tick()
    relay.tick()
    lag = scalar(
        conn,
        """SELECT extract(epoch FROM pgqueue.clock())
                  - pg_sequence_last_value('pgqueue.promote_mark') / 1e6""",
    )
    assert 59 < lag < 90
    late = enqueue(conn, delay="1 hour")
    relay.tick()
    conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() - interval '30 minutes' WHERE id = %s", [late])
    relay.tick()
    assert state_of(conn, late) == "waiting"  # below the mark: a transaction of half an hour would do this
    assert scalar(conn, statement("sweep_waiting")) == 1
    assert state_of(conn, late) == "ready"


def test_the_sweep_keeps_out_of_a_relay_that_is_at_work(conn: Connection, other: Connection, relay: Relay) -> None:
    """Positions given beside the relay would be passed by the mark it publishes."""
    job = enqueue(conn, delay="1 minute")
    relay.tick()
    advance_clock(conn, timedelta(hours=1))
    other.execute("SELECT FROM pgqueue.turns WHERE name = 'relay' FOR UPDATE")
    assert scalar(conn, statement("sweep_waiting")) == 0
    other.rollback()
    other.execute(statement("sweep_waiting"))
    head = Marks.of(conn).head
    assert relay.tick().get("relayed", 0) == 0
    other.commit()
    relay.tick()
    assert Marks.of(conn).v <= head
    assert [claimed.id for claimed in claim(conn)] == [job]
