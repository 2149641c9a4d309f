"""Limits in rows that no library wrote: the relay is never given one that it cannot read, and order is that of time."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.sql.client import Connection, Relay, advance_clock, claim, column, ended, enqueue_row, scalar, settle
from tests.sql.rows import into_jobs

ONE = ["1 mail=acme"]


@pytest.mark.parametrize(
    "element",
    [
        "abc",
        "x mail",
        "1mail",
        "1 ",
        "0/0/0/0 rate:mail",
        "1 rate:mail",
        "1234567890 a",
        "1/1/1/1 mail",
        "1/1/1/1234567890 rate:a",
        "",
    ],
)
def test_a_limit_that_the_relay_cannot_read_is_refused(conn: Connection, element: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_readable"):
        enqueue_row(conn, limits=[element])
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_readable"):
        enqueue_row(conn, limits=["1 a b", "60/60000000/10/1 rate:mail=a b", element])


@pytest.mark.parametrize(
    "limits", ["{NULL}", "{1 a,NULL}", "{{1 a}}", "{}", "{1 a,2 b,3 c,4 d}", "{{1 a},{2 b}}", "[2:2]={1 a}"]
)
def test_limits_that_are_no_plain_list_are_refused(conn: Connection, limits: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_readable"):
        enqueue_row(conn, limits=limits)


def test_a_key_may_hold_any_character(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, limits=["1 mail=a b\nc rate:d", "60/60000000/10/1 rate:mail=a\n b"])
    relay.tick()
    assert len(claim(conn)) == 1


def test_a_limit_that_is_too_long_for_an_index_is_refused(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_readable"):
        enqueue_row(conn, limits=["1 " + "x" * 400])


UNREADABLE = ["abc", "", "x mail", "99999999999 mail", "1 rate:mail", "0/0/0/0 rate:mail", "1/1/1/x rate:mail"]


def test_a_job_with_limits_that_nobody_can_read_is_buried_and_the_others_go_on(conn: Connection, relay: Relay) -> None:
    relay.tick()
    due = scalar(conn, "SELECT pgqueue.clock()")
    good, bad = enqueue_row(conn, limits=ONE), []
    for element in UNREADABLE:
        bad.append(into_jobs(conn, limits=[element], run_at=due))
        bad.append(into_jobs(conn, limits=["2 other", element], run_at=due))
        good.append(into_jobs(conn, limits=["9 fine"], run_at=due))
    relay.tick()
    assert sorted(job.id for job in claim(conn)) == sorted(good)
    assert column(conn, "SELECT id FROM pgqueue.dead_jobs WHERE reason = 'unmovable' ORDER BY id") == sorted(bad)
    assert column(conn, "SELECT unnest(jobs) AS job FROM pgqueue.permits ORDER BY job") == sorted(good)


@pytest.mark.parametrize("element", [*UNREADABLE, None])
def test_a_permit_of_limits_that_nobody_can_read_does_not_stop_the_relay(
    conn: Connection, relay: Relay, element: str | None
) -> None:
    enqueue_row(conn, 2, limits=ONE)
    relay.tick()
    into_jobs(conn, limits=[element], position=1, permit=4711)
    for _ in range(2):
        settle(conn, *(ended(job, "complete") for job in claim(conn)))
        relay.tick()
    assert column(conn, "SELECT id FROM pgqueue.jobs WHERE claimed_by IS NULL AND position IS NULL") == []
    assert column(conn, "SELECT id FROM pgqueue.freed UNION ALL SELECT block FROM pgqueue.permits") == []


@pytest.mark.parametrize("element", [*UNREADABLE, None])
def test_a_job_held_by_hand_for_a_rate_does_not_stop_the_relay(
    conn: Connection, relay: Relay, element: str | None
) -> None:
    spec = ["1/1000000/1/1 rate:mail"]
    enqueue_row(conn, 2, limits=spec)
    relay.tick()
    into_jobs(conn, limits=[element], hold="limit:rate:mail")
    for _ in range(3):
        advance_clock(conn, timedelta(seconds=2))
        relay.tick()
    assert len(claim(conn)) == 2


@pytest.mark.parametrize(
    "limits", [["1 mail=acme", "1 mail=acme"], ["1/1000000/1/1 rate:mail", "1/1000000/1/1 rate:mail"]]
)
def test_a_key_that_a_job_names_twice_counts_once(conn: Connection, relay: Relay, limits: list[str]) -> None:
    conn.execute("SET LOCAL statement_timeout = '5s'")
    first, second = enqueue_row(conn, 2, limits=limits)
    relay.tick()
    (job,) = claim(conn)
    settle(conn, ended(job, "complete"))
    advance_clock(conn, timedelta(seconds=2))
    relay.tick()
    assert (job.id, column(conn, "SELECT id FROM pgqueue.jobs WHERE position IS NOT NULL")) == (first, [second])


def test_held_jobs_are_admitted_in_the_order_they_were_enqueued_whatever_their_ids(
    conn: Connection, relay: Relay
) -> None:
    running, first, second = enqueue_row(conn, 3, limits=ONE)
    relay.tick()
    (job,) = claim(conn)
    assert job.id == running
    of_another_database = (1 << 44) + first
    conn.execute(
        "UPDATE pgqueue.jobs SET id = %s, enqueued_at = enqueued_at - interval '1 minute' WHERE id = %s",
        [of_another_database, first],
    )
    settle(conn, ended(job, "complete"))
    relay.tick()
    assert [job.id for job in claim(conn)] == [of_another_database]
    assert second < of_another_database
