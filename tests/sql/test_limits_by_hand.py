"""Limits in rows that no library wrote: the relay is never given one that it cannot read, and order is that of time."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.client import Connection, Relay, claim, ended, enqueue_row, settle

ONE = ["1 mail=acme"]


@pytest.mark.parametrize(
    "element", ["abc", "x mail", "1mail", "1 ", "0/0/0/0 rate:mail", "1 rate:mail", "1234567890 a", "1/1/1/1 mail", ""]
)
def test_a_limit_that_the_relay_cannot_read_is_refused(conn: Connection, element: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_plain"):
        enqueue_row(conn, limits=[element])
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_plain"):
        enqueue_row(conn, limits=["1 a b", "60/60000000/10/1 rate:mail=a b", element])


@pytest.mark.parametrize("limits", ["{NULL}", "{1 a,NULL}", "{{1 a}}", "{{1 a},{2 b}}", "[2:2]={1 a}"])
def test_limits_that_are_no_plain_list_are_refused(conn: Connection, limits: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_listed"):
        enqueue_row(conn, limits=limits)


def test_a_key_may_hold_any_character(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, limits=["1 mail=a b\nc rate:d", "60/60000000/10/1 rate:mail=a\n b"])
    relay.tick()
    assert len(claim(conn)) == 1


def test_a_limit_that_is_too_long_for_an_index_is_refused(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="outbox_limits_short"):
        enqueue_row(conn, limits=["1 " + "x" * 400])


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
