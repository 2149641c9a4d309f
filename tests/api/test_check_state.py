"""The state check: a second run finds what the first has done, and waits for it if it is not done yet."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pgqueue import AsyncQueue, Discard, Queue
from pgqueue.errors import ConfigurationError, TransactionUnusable
from tests.api.test_once import wait_until_blocked

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

Row = tuple[Any, ...]
queue = Queue()


class Base(DeclarativeBase):
    pass


class Post(Base):
    __tablename__ = "posts"
    __table_args__ = ({"schema": "blog"},)
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    version: Mapped[int]


@pytest.fixture(autouse=True)
def posts(conn: psycopg.Connection[Row]) -> None:
    conn.execute("DROP SCHEMA IF EXISTS blog CASCADE")
    conn.execute("CREATE SCHEMA blog")
    conn.execute("CREATE TABLE blog.posts (id int, status text, version int)")
    conn.execute("INSERT INTO blog.posts VALUES (1, 'scheduled', 3), (2, 'published', 3), (2, 'published', 4)")


@pytest.mark.parametrize("table", ["blog.posts", Post])
def test_a_row_in_the_expected_state_is_worked_on(engine: sa.Engine, table: str | type) -> None:
    with Session(engine) as session:
        assert queue.check_state(session, table, {"id": 1}, status="scheduled", version=3) is None
        assert queue.check_state(session, table, {"id": 1}, status={"scheduled", "paused"}) is None


@pytest.mark.parametrize(
    ("key", "expected", "reason"),
    [
        ({"id": 1}, {"status": "paused"}, "blog.posts id=1: status is 'scheduled', expected 'paused'"),
        ({"id": 1}, {"status": ["b", "a"]}, "blog.posts id=1: status is 'scheduled', expected 'a' or 'b'"),
        ({"id": 1}, {"status": "scheduled", "version": 2}, "blog.posts id=1: version is 3, expected 2"),
        ({"id": 2, "version": 9}, {"status": "scheduled"}, "blog.posts id=2, version=9 is gone"),
    ],
)
def test_what_was_found_instead_is_said(engine: sa.Engine, key: Any, expected: Any, reason: str) -> None:
    with Session(engine) as session:
        assert queue.check_state(session, "blog.posts", key, **expected) == Discard(reason)


def test_a_second_run_waits_for_the_first_and_sees_what_it_did(database_url: str, engine: sa.Engine) -> None:
    found: list[Discard | None] = []
    with psycopg.connect(database_url) as second, Session(engine) as session:

        def run() -> None:
            found.append(queue.check_state(second, "blog.posts", {"id": 1}, status="scheduled"))

        assert queue.check_state(session, "blog.posts", {"id": 1}, status="scheduled") is None
        session.execute(sa.text("UPDATE blog.posts SET status = 'published' WHERE id = 1"))
        running = threading.Thread(target=run)
        running.start()
        with psycopg.connect(database_url, autocommit=True) as onlooker:
            wait_until_blocked(onlooker, second.info.backend_pid)
        session.commit()
        running.join()
    assert found == [Discard("blog.posts id=1: status is 'published', expected 'scheduled'")]


@pytest.mark.anyio
async def test_asynchronous_code_awaits_it(aengine: AsyncEngine) -> None:
    async with AsyncSession(aengine) as session:
        assert await AsyncQueue().check_state(session, Post, {"id": 1}, status="scheduled") is None
        found = await AsyncQueue().check_state(session, Post, {"id": 1}, status="published")
    assert isinstance(found, Discard)


def test_a_check_that_would_lock_nothing_is_refused(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(TransactionUnusable, match="check_state belongs into the transaction"):
        queue.check_state(conn, "blog.posts", {"id": 1}, status="scheduled")


def test_a_check_of_nothing_and_of_several_rows_says_what_to_write(engine: sa.Engine) -> None:
    with Session(engine) as session:
        with pytest.raises(ConfigurationError, match="the key of a row and a state"):
            queue.check_state(session, "blog.posts", {"id": 1})
        with pytest.raises(ConfigurationError, match="are 2 rows"):
            queue.check_state(session, "blog.posts", {"id": 2}, status="published")
