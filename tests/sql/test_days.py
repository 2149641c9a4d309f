"""make_days, drop_days, prune: finished jobs go by the day, and what is kept longer goes row by row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from psycopg import errors

from tests.sql.client import (
    Connection,
    Relay,
    advance_clock,
    claim,
    column,
    ended,
    enqueue,
    scalar,
    settle,
    statement,
)

DAY = 86400.0
PARTITIONS = """SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                WHERE inhparent = 'pgqueue.finished_jobs'::regclass ORDER BY 1"""


def finish(conn: Connection, *days: float) -> list[int]:
    for _ in days:
        enqueue(conn)
    Relay(conn, "1 millisecond").tick()
    jobs = claim(conn)
    settle(conn, *(ended(job, "complete", n * DAY) for job, n in zip(jobs, days, strict=True)))
    return [job.id for job in jobs]


def homes(conn: Connection) -> dict[int, str]:
    return dict(conn.execute("SELECT id, tableoid::regclass::text FROM pgqueue.finished_jobs").fetchall())


def make_days(conn: Connection, days: int) -> int:
    return cast("int", scalar(conn, "SELECT pgqueue.make_days(%s)", days))


def test_ten_days_are_made_by_the_migration(conn: Connection) -> None:
    partitions = column(conn, PARTITIONS)
    assert len(partitions) == 11
    assert partitions[-1] == "finished_jobs_later"
    assert make_days(conn, 9) == 0


def test_a_row_stands_in_the_day_on_which_it_may_go(conn: Connection) -> None:
    soon, later = finish(conn, 0.001, 40)
    found = homes(conn)
    assert found[later] == "pgqueue.finished_jobs_later"
    assert found[soon].startswith("pgqueue.finished_jobs_2")


def test_a_new_day_takes_its_rows_out_of_the_default_partition(conn: Connection) -> None:
    jobs = finish(conn, 12, 13, 40)
    advance_clock(conn, timedelta(days=6))
    assert make_days(conn, 9) == 6
    found = homes(conn)
    assert sorted(found) == jobs
    assert [found[job] == "pgqueue.finished_jobs_later" for job in jobs] == [False, False, True]


def test_days_that_have_passed_are_dropped_whole(conn: Connection) -> None:
    gone, kept = finish(conn, 0.5, 5)
    advance_clock(conn, timedelta(days=3))
    assert scalar(conn, statement("drop_days")) == 3
    assert list(homes(conn)) == [kept]
    assert gone not in column(conn, "SELECT id FROM pgqueue.all_jobs")
    assert scalar(conn, statement("drop_days")) == 0


def test_a_row_past_its_time_is_not_shown_although_its_day_stands(conn: Connection) -> None:
    (job,) = finish(conn, 0.0001)
    advance_clock(conn, timedelta(minutes=5))
    assert column(conn, "SELECT id FROM pgqueue.all_jobs") == []
    assert list(homes(conn)) == [job]


def test_prune_takes_from_the_default_partition_what_is_past_its_time(conn: Connection) -> None:
    gone, kept = finish(conn, 12, 40)
    advance_clock(conn, timedelta(days=20))
    assert column(conn, statement("prune")) == [gone]
    assert list(homes(conn)) == [kept]


def test_a_reader_of_finished_jobs_makes_upkeep_give_up_soon(conn: Connection, other: Connection) -> None:
    """It must not stand in the queue for a lock, with every settlement behind it."""
    other.execute("SELECT count(*) FROM pgqueue.finished_jobs")
    advance_clock(conn, timedelta(days=3))
    with pytest.raises(errors.LockNotAvailable):
        conn.execute(cast("Any", statement("drop_days")))
    other.rollback()
    assert scalar(conn, statement("drop_days")) == 3


def test_days_are_made_beside_a_settlement_in_flight(conn: Connection, other: Connection, relay: Relay) -> None:
    enqueue(conn)
    relay.tick()
    (job,) = claim(conn)
    advance_clock(conn, timedelta(days=2))
    settle(other, ended(job, "complete", DAY))
    assert make_days(conn, 9) == 2
    other.commit()
    assert list(homes(conn)) == [job.id]
