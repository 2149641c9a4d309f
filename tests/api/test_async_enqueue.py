"""The asynchronous face: the same verbs, the same promise."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session

from pgqueue import AsyncQueue, Context, Queue, bind
from pgqueue.errors import InvalidJob, MissingContext, TransactionUnusable
from tests.api.jobs import CONTEXT, SETTINGS, Letter, enqueued

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.api.jobs import Row

pytestmark = pytest.mark.anyio
queue = AsyncQueue(SETTINGS, wake="off")
KINDS = ["session", "scoped session", "connection", "psycopg connection", "psycopg cursor"]


@asynccontextmanager
async def transaction(kind: str, engine: AsyncEngine, url: str) -> AsyncIterator[Any]:
    if kind == "session":
        async with AsyncSession(engine) as session, session.begin():
            yield session
    elif kind == "scoped session":
        scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
        try:
            async with scoped.begin():
                yield scoped
        finally:
            await scoped.remove()
    elif kind == "connection":
        async with engine.begin() as connection:
            yield connection
    else:
        async with await psycopg.AsyncConnection.connect(url) as driver:
            yield driver if kind == "psycopg connection" else driver.cursor()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_job_exists_once_the_transaction_commits(
    kind: str, aengine: AsyncEngine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    async with transaction(kind, aengine, database_url) as tx:
        first = await queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        many = await queue.enqueue_many(tx, [Letter(to="bob"), Letter(to="cid")], context=CONTEXT)
        assert enqueued(conn) == []
    assert enqueued(conn) == sorted([first, *many])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_rollback_leaves_no_job(
    kind: str, aengine: AsyncEngine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    with pytest.raises(ValueError, match="boom"):  # noqa: PT012 - the whole transaction fails
        async with transaction(kind, aengine, database_url) as tx:
            await queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
            await queue.enqueue_many(tx, [Letter(to="bob")], context=CONTEXT)
            raise ValueError("boom")
    assert enqueued(conn) == []


@pytest.mark.parametrize("kind", ["session", "connection"])
async def test_a_savepoint_that_is_rolled_back_takes_its_job_along(
    kind: str, aengine: AsyncEngine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    async with transaction(kind, aengine, database_url) as tx:
        outer = await queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        savepoint = await tx.begin_nested()
        await queue.enqueue(tx, Letter(to="bob"), context=CONTEXT)
        await savepoint.rollback()
    assert enqueued(conn) == [outer]


async def test_an_autocommit_connection_commits_at_once(
    aconn: psycopg.AsyncConnection[Row], conn: psycopg.Connection[Row]
) -> None:
    first = await queue.enqueue(aconn, Letter(to="ann"), context=CONTEXT)
    many = await queue.enqueue_many(aconn, [Letter(to="bob"), Letter(to="cid")], context=CONTEXT)
    assert enqueued(conn) == [first, *many]


async def test_ids_come_in_order_while_others_enqueue_in_bulk(
    database_url: str, aengine: AsyncEngine, conn: psycopg.Connection[Row]
) -> None:
    async def bulk(who: int, *, autocommit: bool) -> tuple[int, list[int]]:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=autocommit) as mine:
            ids = await queue.enqueue_many(mine, [Letter(to=str(who), copies=n) for n in range(300)], context=CONTEXT)
        return who, ids

    for who, ids in await asyncio.gather(*(bulk(who, autocommit=who % 2 == 0) for who in range(8))):
        assert ids == sorted(ids)
        rows = conn.execute(
            "SELECT id FROM pgqueue.outbox WHERE args ->> 'to' = %s ORDER BY (args ->> 'copies')::int", [str(who)]
        ).fetchall()
        assert [row[0] for row in rows] == ids


async def test_a_context_bound_around_a_task_is_taken(aconn: psycopg.AsyncConnection[Row]) -> None:
    with pytest.raises(MissingContext):
        await queue.enqueue(aconn, Letter(to="a"))
    with bind(Context("bound", "u")):
        await asyncio.create_task(_enqueue(aconn))
    cursor = await aconn.execute("SELECT organization_id FROM pgqueue.outbox")
    assert await cursor.fetchall() == [("bound",)]


async def _enqueue(aconn: psycopg.AsyncConnection[Row]) -> None:
    await queue.enqueue(aconn, Letter(to="a"))


async def test_closed_and_failed_connections_are_refused(database_url: str, aengine: AsyncEngine) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as failed:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await failed.execute("SELECT 1/0")
        with pytest.raises(TransactionUnusable, match="roll back"):
            await queue.enqueue(failed, Letter(to="a"), context=CONTEXT)
        await failed.rollback()
    async with aengine.connect() as connection:
        pass
    for unusable in (failed, failed.cursor() if not failed.closed else failed, connection):
        with pytest.raises(TransactionUnusable, match="closed"):
            await queue.enqueue(unusable, Letter(to="a"), context=CONTEXT)


async def test_the_other_faces_connections_are_refused(
    engine: sa.Engine, aengine: AsyncEngine, conn: psycopg.Connection[Row], aconn: psycopg.AsyncConnection[Row]
) -> None:
    with Session(engine) as session, engine.connect() as connection:
        for sync in (session, connection, conn):
            with pytest.raises(TransactionUnusable, match=r"give a AsyncSession|AsyncSession, AsyncConnection"):
                await queue.enqueue(sync, Letter(to="a"), context=CONTEXT)  # type: ignore[arg-type]  # the fault under test
    other = Queue(SETTINGS, wake="off")
    async with AsyncSession(aengine) as asession, aengine.connect() as aconnection:
        for asynchronous in (asession, aconnection, aconn):
            with pytest.raises(TransactionUnusable, match="give a Session"):
                other.enqueue(asynchronous, Letter(to="a"), context=CONTEXT)  # type: ignore[arg-type]  # the fault under test


async def test_a_bad_job_is_refused_before_anything_is_sent(aconn: psycopg.AsyncConnection[Row]) -> None:
    with pytest.raises(InvalidJob, match="job number 1"):
        await queue.enqueue_many(aconn, [Letter(to="a"), Letter(to="\ud800")], context=CONTEXT)


def test_both_faces_have_the_same_verbs_and_parameters() -> None:
    def verbs(face: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]
            for name, member in inspect.getmembers(face, inspect.isfunction)
            if not name.startswith("_")
        }

    assert verbs(Queue) == verbs(AsyncQueue)
    assert {"enqueue", "enqueue_many", "cancel", "requeue", "discard", "pause", "resume"} <= set(verbs(Queue))
    assert all(
        inspect.iscoroutinefunction(member)
        for name, member in inspect.getmembers(AsyncQueue, inspect.isfunction)
        if not name.startswith("_") and name != "lock"  # makes an AsyncLock and opens nothing
    )
