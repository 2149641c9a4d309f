"""enqueue: one row in the outbox, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import IsolationLevel, errors

from tests.sql.client import Connection, Relay, claim, column, enqueue, enqueue_bulk, scalar, state_of

if TYPE_CHECKING:
    from typing import Any


def test_a_job_stands_in_the_outbox_until_it_is_relayed(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn)
    assert state_of(conn, job) == "enqueued"
    relay.tick()
    assert state_of(conn, job) == "ready"
    assert [claimed.id for claimed in claim(conn)] == [job]


def test_a_job_vanishes_with_its_transaction(conn: Connection, other: Connection, relay: Relay) -> None:
    enqueue(other)
    other.rollback()
    relay.tick()
    assert claim(conn) == []


def test_a_job_vanishes_with_its_savepoint_and_its_neighbours_stay(conn: Connection, relay: Relay) -> None:
    with conn.transaction():
        kept = enqueue(conn)
        with conn.transaction(force_rollback=True):
            enqueue(conn)
        kept_too = enqueue(conn)
    relay.tick()
    assert [claimed.id for claimed in claim(conn)] == [kept, kept_too]


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_enqueue_works_at_every_isolation_level(
    database_url: str, conn: Connection, relay: Relay, level: IsolationLevel
) -> None:
    with psycopg.connect(database_url) as strict:
        strict.isolation_level = level
        job = enqueue(strict)
        neighbour = enqueue(conn)
        relay.tick()
        job_too = enqueue(strict)
    relay.tick()
    assert {claimed.id for claimed in claim(conn)} == {job, neighbour, job_too}


def test_two_open_transactions_enqueue_side_by_side(conn: Connection, other: Connection) -> None:
    conn.execute("SET lock_timeout = '50ms'")
    enqueue(other)
    enqueue(conn)


def test_bulk_ids_are_those_of_this_call_in_its_order(conn: Connection, other: Connection, relay: Relay) -> None:
    theirs = enqueue_bulk(other, 5)
    with conn.transaction():
        ours = enqueue_bulk(conn, 5)
    assert ours == sorted(ours)
    assert not set(ours) & set(theirs)
    relay.tick()
    assert [claimed.id for claimed in claim(conn)] == ours


@pytest.mark.parametrize("text", ["enqueue", "bulk"])
def test_the_transaction_id_is_taken_before_the_job_id(other: Connection, text: str) -> None:
    """The outbox's mark rests on it; a sequence alone would give ids to transactions that have no number yet."""
    assert scalar(other, "SELECT pg_current_xact_id_if_assigned()") is None
    if text == "bulk":
        enqueue_bulk(other, 1)
    else:
        enqueue(other)
    assert scalar(other, "SELECT xmin::text FROM pgqueue.outbox") == scalar(
        other, "SELECT pg_current_xact_id_if_assigned()::text"
    )
    assert column(other, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'pgqueue.outbox'::regclass") == [
        "outbox_takes_xid"
    ]


@pytest.mark.parametrize(
    ("options", "constraint"),
    [
        ({"run_at": "infinity"}, "outbox_run_at_sane"),
        ({"run_at": "-infinity"}, "outbox_run_at_sane"),
        ({"run_at": "1999-12-31 00:00Z"}, "outbox_run_at_sane"),
        ({"delay": "-1 second"}, "outbox_delay_sane"),
        ({"delay": "4000 days"}, "outbox_delay_sane"),
        ({"max_attempts": 0}, "outbox_max_attempts_bounded"),
        ({"max_attempts": 101}, "outbox_max_attempts_bounded"),
        ({"payload_version": 0}, "outbox_payload_version_positive"),
        ({"max_age": "0 seconds"}, "outbox_max_age_sane"),
        ({"queue": "Not Plain"}, "outbox_queue_plain"),
        ({"kind": ""}, "outbox_kind_length"),
    ],
)
def test_what_could_never_run_is_refused_at_once(conn: Connection, options: dict[str, Any], constraint: str) -> None:
    with pytest.raises(errors.CheckViolation) as refused:
        enqueue(conn, **options)
    assert refused.value.diag.constraint_name == constraint


def test_arguments_are_an_object(conn: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="outbox_args_object"):
        conn.execute("SELECT pgqueue.enqueue('K', '[1]', 'org', 'user')")
