"""relay: outbox rows become jobs with a position, whatever else goes on."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg import IsolationLevel, errors

from tests.sql.client import (
    NO_TERM,
    Connection,
    Marks,
    Relay,
    advance_clock,
    claim,
    column,
    enqueue,
    enqueue_bulk,
    scalar,
    state_of,
)


def test_positions_follow_the_order_of_ids_in_each_queue(conn: Connection, relay: Relay) -> None:
    mine = [enqueue(conn, "default") for _ in range(3)]
    theirs = [enqueue(conn, "high") for _ in range(2)]
    relay.tick()
    rows = conn.execute("SELECT queue, id, position FROM pgqueue.jobs ORDER BY id").fetchall()
    assert rows == [("default", job, n + 1) for n, job in enumerate(mine)] + [
        ("high", job, n + 1) for n, job in enumerate(theirs)
    ]


def test_an_idle_relay_writes_nothing(conn: Connection, relay: Relay) -> None:
    enqueue(conn)
    relay.tick()
    before = scalar(conn, "SELECT pg_snapshot_xmax(pg_current_snapshot())")
    assert relay.tick()["idle"]
    assert scalar(conn, "SELECT pg_snapshot_xmax(pg_current_snapshot())") == before


def test_a_batch_takes_from_both_lanes_so_that_bulk_hides_nobody(conn: Connection, relay: Relay) -> None:
    with conn.transaction():
        bulk = enqueue_bulk(conn, 50)
    single = enqueue(conn)
    relay.batch = 10
    result = relay.tick()
    assert result["relayed"] == 11
    assert result["more"]
    assert state_of(conn, single) == "ready"
    for _ in range(4):
        relay.tick()
    assert {job.id for job in claim(conn)} == {*bulk, single}


@pytest.mark.parametrize("keeps_state", [True, False])
def test_a_late_commit_with_a_low_id_is_found(
    conn: Connection,
    other: Connection,
    relay: Relay,
    keeps_state: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    relay.term = NO_TERM
    early = enqueue(other)
    for _ in range(5):
        enqueue(conn)
        relay.tick()
        relay.state = relay.state if keeps_state else None
    other.commit()
    relay.tick()
    assert state_of(conn, early) == "ready"


def test_the_outbox_mark_follows_when_everybody_has_committed(conn: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    for _ in range(3):
        last = enqueue(conn)
        relay.tick()
        relay.tick()
    assert scalar(conn, "SELECT pg_sequence_last_value('pgqueue.outbox_mark_single')") == last


def test_a_rolled_back_relay_loses_nothing(conn: Connection, other: Connection) -> None:
    jobs = [enqueue(conn) for _ in range(4)]
    assert Relay(other, NO_TERM).call()["relayed"] == 4
    other.rollback()
    relay = Relay(conn, NO_TERM)
    relay.tick()
    assert [job.id for job in claim(conn)] == jobs


def test_a_sweep_that_has_the_row_for_a_moment_does_not_cost_the_relay_its_role(
    conn: Connection, other: Connection
) -> None:
    relay = Relay(conn, "3 s")
    enqueue(conn)
    relay.tick()
    known = relay.state
    other.execute("SELECT pgqueue.sweep_waiting()")  # takes the relay's row, as the upkeep does once a minute
    enqueue(conn)
    assert relay.tick()["idle"]
    assert relay.state == known
    other.commit()
    assert relay.tick()["relayed"] == 1


def test_a_second_relay_does_nothing_while_one_has_the_turn(conn: Connection, other: Connection) -> None:
    enqueue(conn)
    with conn.transaction():
        Relay(conn).call()
        assert Relay(other).call() == {"state": None, "idle": True}


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_the_relay_refuses_a_snapshot_that_stands_still(database_url: str, level: IsolationLevel) -> None:
    with psycopg.connect(database_url) as strict:
        strict.isolation_level = level
        with pytest.raises(errors.RaiseException, match="READ COMMITTED") as refused:
            Relay(strict).call()
        assert refused.value.diag.message_hint == "Call it in a READ COMMITTED transaction of its own."


def test_the_relay_refuses_a_transaction_that_has_written(other: Connection) -> None:
    enqueue(other)
    with pytest.raises(errors.RaiseException, match="first to write"):
        Relay(other).call()


def test_a_row_locked_in_the_outbox_does_not_stop_the_others(conn: Connection, other: Connection, relay: Relay) -> None:
    jobs = [enqueue(conn) for _ in range(5)]
    other.execute("SELECT FROM pgqueue.outbox WHERE id = %s FOR UPDATE", [jobs[1]])
    assert relay.tick()["relayed"] == 4
    assert [state_of(conn, job) for job in jobs] == ["ready", "enqueued", "ready", "ready", "ready"]
    other.rollback()
    relay.tick()
    assert state_of(conn, jobs[1]) == "ready"


def test_rows_that_cannot_move_are_buried_alone(conn: Connection, relay: Relay) -> None:
    jobs = [enqueue(conn) for _ in range(9)]
    bad = jobs[2::4]
    conn.execute("UPDATE pgqueue.outbox SET enqueued_at = '9998-12-31', delay = '2 days' WHERE id = ANY (%s)", [bad])
    assert relay.tick()["relayed"] == 9
    assert [job.id for job in claim(conn)] == [job for job in jobs if job not in bad]
    rows = conn.execute("SELECT id, reason, error_type FROM pgqueue.dead_jobs ORDER BY id").fetchall()
    assert rows == [(job, "unmovable", "relay") for job in bad]
    assert scalar(conn, "SELECT max(run_at) FROM pgqueue.dead_jobs").year == 9999  # what Python can still read
    assert all("jobs_run_at_sane" in error for error in column(conn, "SELECT error FROM pgqueue.dead_jobs"))


@pytest.mark.parametrize("moment", ["294276-12-31", "infinity", "-infinity", "4000-01-01 BC"])
def test_a_time_that_cannot_be_added_up_is_refused_by_the_outbox(conn: Connection, moment: str) -> None:
    """A claim subtracts it from now: one such row would stop every claim of its queue on PostgreSQL 16 and older."""
    job = enqueue(conn)
    with pytest.raises(errors.CheckViolation, match="outbox_enqueued_at_sane"):
        conn.execute("UPDATE pgqueue.outbox SET enqueued_at = %s WHERE id = %s", [moment, job])


def test_an_id_that_exists_already_is_buried_and_the_older_job_lives_on(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn)
    relay.tick()
    conn.execute(
        """INSERT INTO pgqueue.outbox (id, correlation_id, trace_id, queue, kind, organization_id, user_id, args)
           VALUES (%s, gen_random_uuid(), gen_random_uuid(), 'default', 'K', 'org', 'user', '{}')""",
        [job],
    )
    Relay(conn, NO_TERM).tick()
    neighbour = enqueue(conn)
    for _ in range(3):
        relay.tick()
    assert [claimed.id for claimed in claim(conn)] == [job, neighbour]


def test_a_job_that_is_too_old_when_it_is_relayed_still_carries_its_age(conn: Connection, relay: Relay) -> None:
    enqueue(conn, max_age="1 hour")
    advance_clock(conn, timedelta(hours=2))
    relay.tick()
    assert scalar(conn, "SELECT expires_at < pgqueue.clock() FROM pgqueue.jobs")


def test_each_queue_and_lane_has_its_own_positions(conn: Connection, relay: Relay) -> None:
    jobs = [enqueue(conn) for _ in range(4)]
    conn.execute("UPDATE pgqueue.outbox SET priority = 2 WHERE id = ANY (%s)", [jobs[:2]])
    relay.tick()
    assert Marks.of(conn, lane=0).head == Marks.of(conn, lane=2).head == 2
    assert [job.id for job in claim(conn)] == jobs[2:] + jobs[:2]  # lane 0 (normal) goes before lane 2 (low)


def test_one_notification_per_queue_and_batch(conn: Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as ear:
        ear.execute("LISTEN bell")
        for queue in ("default", "default", "high"):
            enqueue(conn, queue)
        conn.execute("SELECT pgqueue.relay(NULL, 1000, '3s', 'bell')")
        heard = [note.payload for note in ear.notifies(timeout=5, stop_after=2)]
    assert sorted(heard) == ["default", "high"]


def test_a_sweep_in_its_place_does_not_cost_the_relay_its_role(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, "1 hour")
    relay.tick()
    enqueue(conn)
    assert scalar(other, "SELECT pgqueue.hold_turn('relay')")
    assert relay.tick()["idle"]
    assert claim(conn) == []
    other.rollback()
    relay.tick()
    assert len(claim(conn)) == 1
