"""The same for asynchronous tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from pgqueue import Context
from pgqueue.errors import ConfigurationError
from pgqueue.testing import AsyncQueueTester, QueueTester
from tests.testing.jobs import (
    CONTEXT,
    AsyncWrite,
    Fragile,
    Letter,
    Relay,
    Write,
    application,
    async_queue,
    queue,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

pytestmark = pytest.mark.anyio


async def notes(session: AsyncSession) -> list[str]:
    return list(await session.scalars(sa.text("SELECT note FROM notes ORDER BY n")))


async def test_enqueue_assert_drain(
    async_queue_tester: AsyncQueueTester, async_session: AsyncSession, done: list[str]
) -> None:
    await async_queue.enqueue(async_session, AsyncWrite(note="a"), context=CONTEXT)
    await async_queue.enqueue(async_session, Relay(left=2), context=CONTEXT)
    await async_queue.enqueue_many(async_session, [Letter(to="ada")], context=CONTEXT, delay="1h")
    await async_session.commit()
    assert await async_queue_tester.assert_enqueued(AsyncWrite, {"note": "a"}, count=1) == [AsyncWrite(note="a")]
    await async_queue_tester.assert_enqueued(Letter, run_in="1h")
    await async_queue_tester.refute_enqueued(Fragile)
    drained = await async_queue_tester.drain()
    assert (drained.completed, await notes(async_session)) == (4, ["a 1"])
    await async_queue_tester.advance("61m")
    assert (await async_queue_tester.drain()).completed == 1
    assert done == ["relay 2", "relay 1", "relay 0", "ada 1/2"]


async def test_a_death_with_a_hook_that_is_not_asynchronous(
    async_queue_tester: AsyncQueueTester, async_session: AsyncSession, done: list[str]
) -> None:
    await async_queue.enqueue(async_session, Fragile(how="dead"), context=CONTEXT)
    drained = await async_queue_tester.drain()
    assert (drained.dead, drained.completed) == (1, 1)
    assert await notes(async_session) == ["dead of dead"]
    assert done == ["heard of Fragile: dead"]


async def test_faults(async_queue_tester: AsyncQueueTester, async_session: AsyncSession) -> None:
    await async_queue.enqueue(async_session, AsyncWrite(note="a"), context=CONTEXT)
    with (
        async_queue_tester.crash_after_claim(AsyncWrite),
        async_queue_tester.lose_lease(AsyncWrite),
        async_queue_tester.fail(AsyncWrite),
    ):
        drained = await async_queue_tester.drain(with_scheduled=True)
    assert [run.moment for run in drained.runs] == ["crash", "lost", "complete"]
    assert await notes(async_session) == ["a 3"]


async def test_inline(async_queue_tester: AsyncQueueTester, async_session: AsyncSession, done: list[str]) -> None:
    with async_queue_tester.inline():
        await async_queue.enqueue(async_session, Relay(left=1), context=CONTEXT)
        assert done == ["relay 1", "relay 0"]


async def test_one_run(async_queue_tester: AsyncQueueTester, async_session: AsyncSession) -> None:
    ran = await async_queue_tester.perform(AsyncWrite(note="a"), attempt=2, context=Context("o", "u"))
    assert (ran.moment, await notes(async_session)) == ("complete", ["a 2"])
    with pytest.raises(ConfigurationError, match="queue_tester"):
        await async_queue_tester.perform(Write(note="a"))


async def test_an_asynchronous_connection_of_sqlalchemy_or_psycopg(
    async_connection: AsyncConnection, prepared: str, done: list[str]
) -> None:
    tester = AsyncQueueTester(application(async_queue, done), async_connection)
    await async_queue.enqueue(async_connection, AsyncWrite(note="a"), context=CONTEXT)
    assert (await tester.drain()).completed == 1
    tester.close()
    async with await psycopg.AsyncConnection.connect(prepared) as conn:
        tester = AsyncQueueTester(application(async_queue, done), conn)
        await async_queue.enqueue(conn, Relay(left=0), context=CONTEXT)
        assert (await tester.drain()).completed == 1
        tester.close()
        await conn.rollback()


async def test_the_wrong_tester_says_which_is_right(async_connection: AsyncConnection, done: list[str]) -> None:
    tester = AsyncQueueTester(application(queue, done), async_connection)
    with pytest.raises(ConfigurationError, match="queue_tester"), tester.inline():
        pass
    tester.close()
    with pytest.raises(ConfigurationError, match="async_queue_tester"):
        QueueTester(application(async_queue, done), async_connection)  # type: ignore[arg-type]  # the fault under test
