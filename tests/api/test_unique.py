"""Unique jobs through every face of the queue, and SQL that means the same job."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from pgqueue import AsyncQueue, Context, Debounce, Job, JobContext, Queue, Throttle, Unique
from tests.api.jobs import CONTEXT, SETTINGS
from tests.sql.client import NO_TERM, Relay, claim, ended, scalar, settle, state_of

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from tests.api.jobs import Row

queue = Queue(SETTINGS, wake="off")
async_queue = AsyncQueue(SETTINGS, wake="off")
POST = UUID(int=5)


class Publish(Job, unique=Unique("post_id")):
    post_id: UUID
    note: str = ""

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing: these tests only enqueue."""


class Index(Publish, unique=Debounce("post_id", wait="30s", max_wait="5m")):
    """Waits until things are quiet."""


class Report(Publish, unique=Throttle("post_id", every="1h")):
    """At most one an hour."""


def relay(conn: psycopg.Connection[Row]) -> None:
    Relay(conn, NO_TERM).tick()


def states(conn: psycopg.Connection[Row], jobs: list[int]) -> list[str | None]:
    return [state_of(conn, job) for job in jobs]


def test_equal_jobs_of_one_organization_are_one(conn: psycopg.Connection[Row]) -> None:
    jobs = [queue.enqueue(conn, Publish(post_id=POST, note=note), context=CONTEXT) for note in "ab"]
    jobs.append(queue.enqueue(conn, Publish(post_id=POST), context=Context("other", "ann")))
    jobs.append(queue.enqueue(conn, Publish(post_id=UUID(int=6)), context=CONTEXT))
    relay(conn)
    assert states(conn, jobs) == ["ready", "merged", "ready", "ready"]


def test_the_kind_is_part_of_what_is_equal(conn: psycopg.Connection[Row]) -> None:
    jobs = [queue.enqueue(conn, kind(post_id=POST), context=CONTEXT) for kind in (Publish, Report)]
    relay(conn)
    assert states(conn, jobs) == ["ready", "ready"]


def test_enqueue_many_carries_the_policy(conn: psycopg.Connection[Row]) -> None:
    single = queue.enqueue(conn, Publish(post_id=POST), context=CONTEXT)
    many = queue.enqueue_many(conn, [Publish(post_id=UUID(int=n // 2)) for n in range(12)], context=CONTEXT)
    relay(conn)
    expected = ["ready", "merged"] * 5 + ["merged", "merged"]
    assert states(conn, [*many, single]) == [*expected, "ready"]


@pytest.mark.anyio
async def test_the_async_face_does_the_same(aconn: psycopg.AsyncConnection[Row], conn: psycopg.Connection[Row]) -> None:
    first = await async_queue.enqueue(aconn, Publish(post_id=POST), context=CONTEXT)
    second = await async_queue.enqueue_many(aconn, [Publish(post_id=POST)], context=CONTEXT)
    relay(conn)
    assert states(conn, [first, *second]) == ["ready", "merged"]


def test_sql_may_name_the_same_job(conn: psycopg.Connection[Row]) -> None:
    first = queue.enqueue(conn, Publish(post_id=POST), context=CONTEXT)
    second = scalar(
        conn,
        "SELECT pgqueue.enqueue('Publish', '{}', 'acme', 'ann', unique_key => %s)",
        '{"post_id":"00000000-0000-0000-0000-000000000005"}',
    )
    relay(conn)
    assert states(conn, [first, second]) == ["ready", "merged"]


def test_a_debounced_job_waits_and_takes_the_newest_arguments(conn: psycopg.Connection[Row]) -> None:
    first = queue.enqueue(conn, Index(post_id=POST, note="old"), context=CONTEXT)
    relay(conn)
    queue.enqueue(conn, Index(post_id=POST, note="new"), context=CONTEXT)
    relay(conn)
    assert state_of(conn, first) == "waiting"
    assert scalar(conn, "SELECT args ->> 'note' FROM pgqueue.jobs") == "new"
    assert scalar(conn, "SELECT run_at > enqueued_at + interval '29 s' FROM pgqueue.jobs")


def test_an_explicit_time_goes_before_the_wait_of_a_debounce(conn: psycopg.Connection[Row]) -> None:
    queue.enqueue(conn, Index(post_id=POST), context=CONTEXT, delay="2s")
    assert scalar(conn, "SELECT extract(epoch FROM delay) FROM pgqueue.outbox") == 2


def test_a_throttled_job_comes_once_in_its_period(conn: psycopg.Connection[Row]) -> None:
    first = queue.enqueue(conn, Report(post_id=POST), context=CONTEXT)
    relay(conn)
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    second = queue.enqueue(conn, Report(post_id=POST), context=CONTEXT)
    relay(conn)
    assert states(conn, [first, second]) == ["completed", "merged"]


def test_cancelling_a_merged_id_says_so_and_requeue_leaves_a_twin_dead(conn: psycopg.Connection[Row]) -> None:
    first = queue.enqueue(conn, Publish(post_id=POST), context=CONTEXT)
    relay(conn)
    settle(conn, *(ended(job, "bury") for job in claim(conn)))
    live, merged = (queue.enqueue(conn, Publish(post_id=POST), context=CONTEXT) for _ in range(2))
    relay(conn)
    assert queue.cancel(conn, merged) == "merged"
    assert queue.requeue(conn, [first], by="ada") == []
    assert queue.cancel(conn, live) == "cancelled"
    assert queue.requeue(conn, [first], by="ada") == [first]


def test_a_job_that_is_not_unique_says_nothing_of_it(conn: psycopg.Connection[Row]) -> None:
    class Plain(Publish, abstract=True):
        """Inherits; so it is unique after all."""

    assert Plain.policy.unique is Publish.policy.unique
    found: Any = conn.execute("SELECT pgqueue.enqueue('Plain', '{}', 'acme', 'ann')").fetchone()
    assert scalar(conn, "SELECT num_nonnulls(unique_hash, unique_while, on_conflict) FROM pgqueue.outbox") == 0
    assert found
