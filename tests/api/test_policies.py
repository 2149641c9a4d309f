"""What a class says about limits, cost and priority arrives in the outbox, singly and in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import AsyncQueue, Job, JobContext, Limit, Queue, Rate
from pgqueue.errors import InvalidJob
from tests.api.jobs import CONTEXT, SETTINGS

if TYPE_CHECKING:
    import psycopg

QUEUE = Queue(SETTINGS, wake="off")


class Export(
    Job,
    queue="mail",
    cost=7,
    priority="low",
    limit=[Limit("organization_id", running=3), Limit("account", running=1), Rate(count=1, per="1s", weight="pages")],
):
    account: str | None = None
    pages: int = 1

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing: these tests only enqueue."""


class Plain(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing: these tests only enqueue."""


LIMITS = ["3 Export.organization_id=acme", "1 Export.account=9", "1/1000000/1/1 rate:Export"]


def rows(conn: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT limits, cost, priority FROM pgqueue.outbox ORDER BY id").fetchall()


def test_a_single_job(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    QUEUE.enqueue(conn, Export(account="9"), context=CONTEXT)
    QUEUE.enqueue(conn, Export(), context=CONTEXT, priority="high")
    QUEUE.enqueue(conn, Plain(), context=CONTEXT)
    assert rows(conn) == [(LIMITS, 7, 2), ([LIMITS[0], LIMITS[2]], 7, 1), (None, None, 0)]


def test_many_jobs(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    QUEUE.enqueue_many(conn, [Export(account="9"), Plain()], context=CONTEXT)
    assert rows(conn) == [(LIMITS, 7, 2), (None, None, 0)]


@pytest.mark.anyio
async def test_the_same_awaited(
    aconn: psycopg.AsyncConnection[tuple[Any, ...]], conn: psycopg.Connection[tuple[Any, ...]]
) -> None:
    queue = AsyncQueue(SETTINGS, wake="off")
    await queue.enqueue(aconn, Export(account="9"), context=CONTEXT)
    await queue.enqueue_many(aconn, [Export(account="9")], context=CONTEXT, priority="normal")
    assert rows(conn) == [(LIMITS, 7, 2), (LIMITS, 7, 0)]


def test_a_key_or_a_priority_that_cannot_be_is_refused(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    with pytest.raises(InvalidJob, match="shorter field"):
        QUEUE.enqueue(conn, Export(account="x" * 10_000), context=CONTEXT)
    with pytest.raises(InvalidJob, match="the weight of its rate"):
        QUEUE.enqueue(conn, Export(pages=0), context=CONTEXT)
    wrong: Any = "urgent"
    with pytest.raises(InvalidJob, match="give one of"):
        QUEUE.enqueue(conn, Export(), context=CONTEXT, priority=wrong)
    assert rows(conn) == []
