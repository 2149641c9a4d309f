"""cancel: wherever the job stands, and while it moves from one place to the next."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.sql.client import (
    NO_TERM,
    Connection,
    Relay,
    claim,
    ended,
    enqueue,
    scalar,
    settle,
    state_of,
    statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def cancel(conn: Connection, job: int) -> str | None:
    params = {"id": job, "keep": timedelta(hours=1), "reason": "not wanted", "by": ""}
    row = conn.execute(cast("Any", statement("cancel")), params).fetchone()
    return cast("str | None", row[0]) if row else None


def enqueued(conn: Connection, _relay: Relay) -> int:
    return enqueue(conn)


def bulk(conn: Connection, _relay: Relay) -> int:
    job = enqueue(conn)
    conn.execute("UPDATE pgqueue.outbox SET lane = 1")
    return job


def waiting(conn: Connection, relay: Relay) -> int:
    job = enqueue(conn, delay="1 hour")
    relay.tick()
    return job


def held(conn: Connection, relay: Relay) -> int:
    job = waiting(conn, relay)
    conn.execute("UPDATE pgqueue.jobs SET run_at = NULL, hold = 'kind:K@1'")
    return job


def ready(conn: Connection, relay: Relay) -> int:
    job = enqueue(conn)
    relay.tick()
    return job


@pytest.mark.parametrize("place", [enqueued, bulk, waiting, held, ready])
def test_a_job_that_does_not_run_is_cancelled_at_once(
    conn: Connection, relay: Relay, place: Callable[[Connection, Relay], int]
) -> None:
    job = place(conn, relay)
    assert cancel(conn, job) == "cancelled"
    assert state_of(conn, job) == "cancelled"
    assert scalar(conn, "SELECT reason FROM pgqueue.finished_jobs") == "not wanted"
    relay.tick()
    assert claim(conn) == []


def test_a_running_job_is_asked_to_stop(conn: Connection, relay: Relay) -> None:
    job = ready(conn, relay)
    (claimed,) = claim(conn)
    assert cancel(conn, job) == "asked"
    assert state_of(conn, job) == "running"
    assert settle(conn, ended(claimed, "cancel")) == set()
    assert state_of(conn, job) == "cancelled"


@pytest.mark.parametrize("moment", ["complete", "bury"])
def test_a_job_that_has_ended_is_left_as_it_is(conn: Connection, relay: Relay, moment: str) -> None:
    job = ready(conn, relay)
    (claimed,) = claim(conn)
    settle(conn, ended(claimed, moment))
    before = state_of(conn, job)
    assert cancel(conn, job) is None
    assert state_of(conn, job) == before


def test_a_job_that_never_was_cannot_be_cancelled(conn: Connection) -> None:
    assert cancel(conn, 4711) is None


def test_a_cancellation_goes_with_its_transaction(conn: Connection, other: Connection, relay: Relay) -> None:
    job = ready(conn, relay)
    assert cancel(other, job) == "cancelled"
    assert claim(conn) == []
    other.rollback()
    assert [claimed.id for claimed in claim(conn)] == [job]


def cancel_while(conn: Connection, other: Connection, job: int) -> list[str | None]:
    """Cancel from a thread, let it run into the lock that `other` holds, then commit `other`."""
    results: list[str | None] = []
    late = threading.Thread(target=lambda: results.append(cancel(conn, job)))
    pid = conn.info.backend_pid
    late.start()
    while not scalar(other, "SELECT cardinality(pg_blocking_pids(%s)) > 0", pid) and late.is_alive():
        pass
    other.commit()
    late.join()
    return results


def test_a_job_that_is_just_being_claimed_is_asked(conn: Connection, other: Connection, relay: Relay) -> None:
    """The statement waits for the claim, and its snapshot shows the job unclaimed: it must look again."""
    job = ready(conn, relay)
    claim(other)
    assert cancel_while(conn, other, job) == ["asked"]


def test_a_job_that_is_just_being_relayed_is_cancelled(conn: Connection, other: Connection) -> None:
    job = enqueue(conn)
    Relay(other, NO_TERM).call()
    assert cancel_while(conn, other, job) == ["cancelled"]


def test_a_job_that_is_just_being_postponed_is_cancelled(conn: Connection, other: Connection, relay: Relay) -> None:
    job = ready(conn, relay)
    (claimed,) = claim(conn)
    settle(other, ended(claimed, "retry", 60))
    assert cancel_while(conn, other, job) == ["cancelled"]
