"""One database for the session, as an application's own tests would have it; each test in a transaction of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from pgqueue.testing import prepare, temporary_database
from tests.conftest import sqlalchemy_address
from tests.testing.jobs import application, async_queue, queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pgqueue import App


@pytest.fixture(scope="session")
def prepared(server: str, template: str) -> Iterator[str]:
    with temporary_database(server, template) as url:
        with psycopg.connect(url) as conn:
            conn.execute("CREATE TABLE notes (n bigint GENERATED ALWAYS AS IDENTITY, note text NOT NULL)")
        prepare(url, application(queue, []))
        yield url


@pytest.fixture
def done() -> list[str]:
    """What the jobs of a test did; their handle."""
    return []


@pytest.fixture
def connection(prepared: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(sqlalchemy_address(prepared))
    with engine.connect() as connection:
        outer = connection.begin()
        yield connection
        outer.rollback()
    engine.dispose()


@pytest.fixture
def session(connection: sa.Connection) -> Iterator[Session]:
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        yield session


@pytest.fixture
async def async_connection(prepared: str, anyio_backend: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(sqlalchemy_address(prepared))
    async with engine.connect() as connection:
        outer = await connection.begin()
        yield connection
        await outer.rollback()
    await engine.dispose()


@pytest.fixture
async def async_session(async_connection: AsyncConnection) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(async_connection, join_transaction_mode="create_savepoint") as session:
        yield session


@pytest.fixture
def pgqueue_app(request: pytest.FixtureRequest, done: list[str]) -> App:
    return application(async_queue if "async_queue_tester" in request.fixturenames else queue, done)


@pytest.fixture
def pgqueue_connection(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("async_session" if "async_queue_tester" in request.fixturenames else "session")
