"""requeue and discard: what people do to dead jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from tests.sql.client import Claimed, Connection, Relay, claim, ended, enqueue, scalar, settle, state_of, statement


def buried(conn: Connection, relay: Relay) -> Claimed:
    enqueue(conn, max_attempts=1)
    relay.tick()
    (job,) = claim(conn)
    settle(conn, ended(job, "bury"))
    return job


def requeue(conn: Connection, *ids: int) -> list[int]:
    params = {"ids": list(ids), "by": "ada", "spacing": "0s", "placed": 0, "filter": "{}"}
    found = conn.execute(cast("Any", statement("requeue")), params)
    return [row[0] for row in found]


def test_a_requeued_job_has_a_fresh_budget_and_goes_on_counting_claims(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    assert requeue(conn, dead.id) == [dead.id]
    relay.tick()
    (again,) = claim(conn)
    assert (again.id, again.attempt, again.claims) == (dead.id, 1, 2)
    assert settle(conn, ended(dead, "complete")) == {dead.id}
    assert settle(conn, ended(again, "complete")) == set()


def test_requeued_poison_is_still_a_suspect(conn: Connection, relay: Relay) -> None:
    enqueue(conn)
    relay.tick()
    (job,) = claim(conn)
    settle(conn, ended(job, "bury", note='{"reason": "crashed"}'))
    innocent = buried(conn, relay)
    requeue(conn, job.id, innocent.id)
    relay.tick()
    assert {each.id: each.crashes for each in claim(conn)} == {job.id: 1, innocent.id: 0}


def test_a_job_that_dies_again_says_who_gave_it_the_life_before(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    requeue(conn, dead.id)
    relay.tick()
    settle(conn, *(ended(job, "bury") for job in claim(conn)))
    assert scalar(conn, "SELECT requeued_by FROM pgqueue.dead_jobs WHERE requeued_at IS NOT NULL") == "ada"
    errors = scalar(conn, "SELECT errors FROM pgqueue.dead_jobs")
    assert [error.get("requeued_by") for error in errors] == [None, "ada", None]


def test_what_is_not_dead_is_not_requeued(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn)
    assert requeue(conn, job, 4711) == []
    assert state_of(conn, job) == "enqueued"


def test_two_people_requeue_one_job_once(conn: Connection, other: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    assert requeue(other, dead.id) == [dead.id]
    other.commit()
    assert requeue(conn, dead.id) == []


def test_a_job_the_relay_could_not_move_can_be_requeued(conn: Connection, relay: Relay) -> None:
    job = enqueue(conn, queue="odd")
    conn.execute("UPDATE pgqueue.outbox SET enqueued_at = '9998-12-31', delay = '2 days'")
    relay.tick()
    assert requeue(conn, job) == [job]
    relay.tick()
    assert [claimed.id for claimed in claim(conn, queue="odd")] == [job]


def test_a_discarded_dead_job_is_kept_with_who_said_so(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    params = {"ids": [dead.id], "reason": "obsolete", "by": "ada", "keep": timedelta(days=1), "filter": "{}"}
    assert conn.execute(cast("Any", statement("discard_dead")), params).fetchall() == [(dead.id,)]
    assert state_of(conn, dead.id) == "discarded"
    assert scalar(conn, "SELECT errors -> -1 ->> 'discarded_by' FROM pgqueue.finished_jobs") == "ada"
