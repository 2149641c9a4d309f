"""refuse and unpark: a kind that nobody here knows spends no attempt and is never dropped."""

from __future__ import annotations

from typing import Any, cast

from tests.sql.client import Connection, Relay, claim, ended, enqueue, scalar, settle, state_of, statement


def refuse_until_parked(conn: Connection, relay: Relay) -> list[str | None]:
    states = []
    while jobs := claim(conn):
        settle(conn, *(ended(job, "refuse", 0) for job in jobs))
        states.append(state_of(conn, jobs[0].id))
        relay.tick()
    return states


def test_a_kind_that_nobody_knows_is_parked_after_six_refusals(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn, kind="Unheard", payload_version=3)
    relay.tick()
    assert refuse_until_parked(conn, relay) == ["waiting"] * 5 + ["held"]
    assert scalar(conn, "SELECT hold FROM pgqueue.jobs WHERE id = %s", job) == "kind:Unheard@3"
    assert scalar(conn, "SELECT attempt FROM pgqueue.jobs WHERE id = %s", job) == 0


def test_a_worker_that_knows_the_kind_takes_it_out_again(conn: Connection, relay: Relay) -> None:
    job, stranger = enqueue(conn, kind="Unheard"), enqueue(conn, kind="Stranger")
    relay.tick()
    refuse_until_parked(conn, relay)
    conn.execute(cast("Any", statement("unpark")), {"holds": ["kind:Unheard@1", "kind:Other@1"]})
    relay.tick()
    (again,) = claim(conn)
    assert (again.id, again.attempt, again.refusals, again.claims) == (job, 1, 0, 7)
    assert state_of(conn, stranger) == "held"


def test_a_retry_between_refusals_starts_the_count_anew(conn: Connection, relay: Relay) -> None:
    enqueue(conn)
    relay.tick()
    for moment in ("refuse", "refuse", "retry"):
        settle(conn, *(ended(job, moment, 0) for job in claim(conn)))
        relay.tick()
    (job,) = claim(conn)
    assert job.refusals == 0
