"""Entries at run time through both faces, in the caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import AsyncQueue, AsyncSchedules, Queue, Schedule, Schedules
from pgqueue.errors import ConfigurationError, UnknownSchedule
from tests.api.jobs import CONTEXT, SETTINGS, Letter, enqueued

if TYPE_CHECKING:
    import psycopg

    from tests.api.jobs import Row

schedules = Schedules(Queue(SETTINGS, wake="off"))
asynchronous = AsyncSchedules(AsyncQueue(SETTINGS, wake="off"))


def entry(name: str = "letters", **more: Any) -> Schedule:
    given: dict[str, Any] = {"every": "1h", "context": CONTEXT} | more
    return Schedule(name, Letter(to="a"), **given)


def test_an_entry_exists_if_and_only_if_the_transaction_committed(conn: psycopg.Connection[Row]) -> None:
    with conn.transaction(force_rollback=True):
        schedules.add(conn, entry())
        assert [row.name for row in schedules.all(conn)] == ["letters"]
    assert schedules.all(conn) == []


def test_every_verb_of_an_entry(conn: psycopg.Connection[Row]) -> None:
    schedules.add(conn, entry())
    schedules.change(conn, entry(every="2h"))
    schedules.pause(conn, "letters", by="ann")
    (row,) = schedules.all(conn)
    assert (row.every_seconds, row.state, row.paused_by) == (7200.0, "paused", "ann")
    schedules.resume(conn, "letters")
    job_id = schedules.run(conn, "letters", by="ann")
    assert [row[0] for row in conn.execute("SELECT id FROM pgqueue.outbox")] == [job_id]
    assert len(enqueued(conn)) == 1
    schedules.remove(conn, "letters")
    assert schedules.all(conn) == []


def test_an_entry_s_jobs_may_have_fewer_attempts_than_their_class_says(conn: psycopg.Connection[Row]) -> None:
    schedules.add(conn, entry("as_the_class_says"))
    schedules.add(conn, entry("once", max_attempts=1))
    for name in ("as_the_class_says", "once"):
        schedules.run(conn, name)
    rows = conn.execute("SELECT max_attempts FROM pgqueue.outbox ORDER BY id").fetchall()
    assert [row[0] for row in rows] == [Letter.policy.retry.max_attempts, 1]


@pytest.mark.parametrize("number", [0, 101, True, "3"])
def test_a_number_of_attempts_that_no_class_could_have_is_refused(conn: psycopg.Connection[Row], number: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"schedule 'letters': max_attempts is .*; give 1 to 100"):
        schedules.add(conn, entry(max_attempts=number))


@pytest.mark.anyio
async def test_the_asynchronous_face_has_the_same_verbs(aconn: psycopg.AsyncConnection[Row]) -> None:
    await asynchronous.add(aconn, entry())
    await asynchronous.change(aconn, entry(every="2h"))
    await asynchronous.pause(aconn, "letters", by="ann")
    (row,) = await asynchronous.all(aconn)
    assert (row.every_seconds, row.state, row.paused_by) == (7200.0, "paused", "ann")
    await asynchronous.resume(aconn, "letters")
    assert await asynchronous.run(aconn, "letters") > 0
    await asynchronous.remove(aconn, "letters")
    for verb in (asynchronous.pause, asynchronous.resume, asynchronous.run, asynchronous.remove):
        with pytest.raises(UnknownSchedule, match="known: none"):
            await verb(aconn, "letters")
    with pytest.raises(UnknownSchedule, match="known: none"):
        await asynchronous.change(aconn, entry())
    await asynchronous.add(aconn, entry())
    with pytest.raises(ConfigurationError, match="there is a schedule named 'letters'"):
        await asynchronous.add(aconn, entry())


@pytest.mark.parametrize("name", ["lettres", "", "a\0b", "'; DROP", "\ud800", 5])
def test_an_unknown_entry_is_refused_with_the_known_names(conn: psycopg.Connection[Row], name: Any) -> None:
    schedules.add(conn, entry())
    for verb in (schedules.pause, schedules.resume, schedules.run, schedules.remove):
        with pytest.raises(UnknownSchedule, match=r"there is no schedule .*(known: letters|names are 1 to 63)"):
            verb(conn, name)


def test_a_name_that_is_taken_is_refused(conn: psycopg.Connection[Row]) -> None:
    schedules.add(conn, entry())
    with pytest.raises(ConfigurationError, match="change it, remove it first"):
        schedules.add(conn, entry())
    with pytest.raises(UnknownSchedule, match="'other'; known: letters"):
        schedules.change(conn, entry("other"))


def test_whatever_an_enqueue_writes_beside_the_common_columns_is_carried_over(conn: psycopg.Connection[Row]) -> None:
    schedules.add(conn, entry())
    conn.execute(
        r"""UPDATE pgqueue.schedules SET options = options || '{"unique_hash": "\\x0102", "unique_while": "period",
              "unique_period": "1 days 0.500000 seconds", "unique_max_wait": "2 hours",
              "on_conflict": "skip", "limits": ["1 a", "2 b"], "cost": 5,
              "priority": 2}'"""
    )
    schedules.run(conn, "letters")
    query = """SELECT unique_hash, unique_while, unique_period, unique_max_wait, on_conflict, limits, cost, priority
               FROM pgqueue.outbox"""
    assert conn.execute(query).fetchall() == [
        (b"\x01\x02", "period", timedelta(days=1, milliseconds=500), timedelta(hours=2), "skip", ["1 a", "2 b"], 5, 2)
    ]


def test_a_faulty_entry_changes_nothing(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(ConfigurationError, match="days that exist"):
        schedules.add(conn, entry(every=None, cron="0 0 30 2 *"))
    assert schedules.all(conn) == []
