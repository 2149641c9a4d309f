"""The same with an asynchronous session (the fixtures are anyio's; pytest-asyncio's work as well)."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pgqueue import App, AsyncQueue, Context, Job, JobContext
from pgqueue.testing import AsyncQueueTester

pytestmark = pytest.mark.anyio
queue = AsyncQueue()


class CloseOrder(Job):
    order_id: int

    async def run(self, app: object, ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(text("UPDATE orders SET state = 'closed' WHERE id = :id"), {"id": self.order_id})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def async_session(database: str, anyio_backend: str) -> AsyncIterator[AsyncSession]:
    engine = create_async_engine(make_url(database).set(drivername="postgresql+psycopg"))
    async with engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        await outer.rollback()
    await engine.dispose()


@pytest.fixture
def pgqueue_app() -> App:
    return App(queue=queue, jobs=[CloseOrder])


@pytest.fixture
def pgqueue_connection(async_session: AsyncSession) -> AsyncSession:
    return async_session


async def test_an_order_is_closed(async_session: AsyncSession, async_queue_tester: AsyncQueueTester) -> None:
    await async_session.execute(text("INSERT INTO orders (id) VALUES (7)"))
    await queue.enqueue(async_session, CloseOrder(order_id=7), context=Context("shop-1", "ann"))
    await async_session.commit()
    await async_queue_tester.assert_enqueued(CloseOrder, count=1)
    assert (await async_queue_tester.drain()).completed == 1
    assert await async_session.scalar(text("SELECT state FROM orders")) == "closed"
