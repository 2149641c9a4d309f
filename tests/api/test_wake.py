"""Idle workers hear of a job after its commit, and only then; a hint, on the queue's own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

import pgqueue.wake
from pgqueue import AsyncQueue, Queue
from pgqueue.wake import outbox_channel
from tests.api.jobs import CONTEXT, SETTINGS, Letter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.api.jobs import Row

PATIENCE = 10.0


class Ear:
    """Somebody who listens; a mark of its own says that nothing came before it."""

    def __init__(self, conn: psycopg.Connection[Row]) -> None:
        self.conn = conn
        conn.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(outbox_channel("pgqueue"))))

    def hears(self) -> bool:
        return any(not note.payload for note in self.conn.notifies(timeout=PATIENCE, stop_after=1))

    def hears_nothing(self) -> bool:
        self.conn.execute("SELECT pg_notify(%s, 'mark')", [outbox_channel("pgqueue")])
        return [note.payload for note in self.conn.notifies(timeout=PATIENCE, stop_after=1)] == ["mark"]


@pytest.fixture
def ear(database_url: str) -> Iterator[Ear]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield Ear(conn)


@pytest.fixture
def queue(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setattr(pgqueue.wake, "_LINGER", 0.2)  # or its connection would outlive the database
    queue = Queue(SETTINGS.changed(database_url=database_url))
    yield queue
    assert queue.waker
    if thread := queue.waker._thread:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def idle(queue: Queue) -> bool:
    """Nothing was told: the thread that would tell it was never started."""
    assert queue.waker
    return queue.waker._thread is None


def test_a_commit_wakes_and_nothing_before_it(queue: Queue, engine: sa.Engine, ear: Ear) -> None:
    with Session(engine) as session, session.begin():
        queue.enqueue(session, Letter(to="a"), context=CONTEXT)
        queue.enqueue_many(session, [Letter(to="b")], context=CONTEXT)
        assert idle(queue)
        assert ear.hears_nothing()
    assert ear.hears()


@pytest.mark.anyio
async def test_an_async_session_wakes_as_well(queue: Queue, aengine: AsyncEngine, ear: Ear) -> None:
    both = AsyncQueue(queue.settings)
    both.waker = queue.waker
    async with AsyncSession(aengine) as session, session.begin():
        await both.enqueue(session, Letter(to="a"), context=CONTEXT)
        assert idle(queue)
    assert ear.hears()


def test_a_commit_without_a_job_wakes_nobody(queue: Queue, engine: sa.Engine, ear: Ear) -> None:
    with Session(engine) as session:
        queue.enqueue(session, Letter(to="a"), context=CONTEXT)
        session.rollback()
        session.execute(sa.text("SELECT 1"))
        session.commit()
        queue.enqueue(session, Letter(to="a"), context=CONTEXT)
        session.close()
        session.execute(sa.text("SELECT 1"))
        session.commit()
    assert idle(queue)
    assert ear.hears_nothing()


def test_a_released_savepoint_wakes_nobody_before_the_commit(queue: Queue, engine: sa.Engine, ear: Ear) -> None:
    with Session(engine) as session, session.begin():
        with session.begin_nested():
            queue.enqueue(session, Letter(to="a"), context=CONTEXT)
        assert idle(queue)
        assert ear.hears_nothing()
    assert ear.hears()


def test_each_commit_wakes_again(queue: Queue, engine: sa.Engine, ear: Ear) -> None:
    with Session(engine) as session:
        for _ in range(3):
            queue.enqueue(session, Letter(to="a"), context=CONTEXT)
            session.commit()
            assert ear.hears()


def test_an_unreachable_database_disturbs_no_commit(database_url: str, engine: sa.Engine) -> None:
    queue = Queue(SETTINGS.changed(database_url="postgresql://nobody@127.0.0.1:1/none"))
    with Session(engine) as session, session.begin():
        queue.enqueue(session, Letter(to="a"), context=CONTEXT)
    assert queue.waker
    if thread := queue.waker._thread:
        thread.join(PATIENCE)
    assert idle(queue)


def test_in_the_transaction_if_asked_for_on_every_kind_of_connection(database_url: str, ear: Ear) -> None:
    queue = Queue(SETTINGS, wake="transaction")
    with psycopg.connect(database_url) as conn:
        queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
        assert ear.hears_nothing()
    assert ear.hears()
    with psycopg.connect(database_url) as conn:
        queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
        conn.rollback()
    assert ear.hears_nothing()


def test_in_the_transaction_if_asked_for_in_autocommit_too(conn: psycopg.Connection[Row], ear: Ear) -> None:
    queue = Queue(SETTINGS, wake="transaction")
    queue.enqueue_many(conn, [Letter(to="a"), Letter(to="b")], context=CONTEXT)
    assert ear.hears()
