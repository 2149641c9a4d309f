"""`once`: an effect and its key in one commit, whoever tries it at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from pgqueue import AsyncQueue, Context, Queue, bind
from pgqueue.errors import InvalidJob, MissingContext, TransactionUnusable
from tests.api.jobs import CONTEXT, SETTINGS
from tests.sql.client import advance_clock, scalar, statement

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.api.jobs import Row

queue = Queue(SETTINGS, wake="off")
async_queue = AsyncQueue(SETTINGS, wake="off")


def test_the_first_one_is_told_so_and_only_after_a_commit(engine: sa.Engine) -> None:
    with Session(engine) as session:
        assert queue.once(session, "charge:1", context=CONTEXT)
        assert not queue.once(session, "charge:1", context=CONTEXT)
        session.rollback()
        assert queue.once(session, "charge:1", context=CONTEXT)
        session.commit()
        assert not queue.once(session, "charge:1", context=CONTEXT)


def test_keys_belong_to_an_organization(engine: sa.Engine) -> None:
    with Session(engine) as session, session.begin():
        assert queue.once(session, "charge:1", context=CONTEXT)
        with bind(Context("other", "ann")):
            assert queue.once(session, "charge:1")
        with pytest.raises(MissingContext):
            queue.once(session, "charge:1")


@pytest.mark.anyio
async def test_the_async_face_does_the_same(aengine: AsyncEngine, aconn: psycopg.AsyncConnection[Row]) -> None:
    async with AsyncSession(aengine) as session, session.begin():
        assert await async_queue.once(session, "charge:1", context=CONTEXT)
    async with aconn.transaction():
        assert not await async_queue.once(aconn, "charge:1", context=CONTEXT)


@pytest.mark.parametrize(("commits", "told"), [(True, False), (False, True)])
def test_a_concurrent_one_waits_and_learns_what_became_of_the_first(
    database_url: str,
    conn: psycopg.Connection[Row],
    commits: bool,  # noqa: FBT001 - a parameter of the test
    told: bool,  # noqa: FBT001 - the same
) -> None:
    with psycopg.connect(database_url) as first, psycopg.connect(database_url) as second:
        assert queue.once(first, "k", context=CONTEXT)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(queue.once, second, "k", context=CONTEXT)
            wait_until_blocked(conn, second.info.backend_pid)
            if commits:
                first.commit()
            else:
                first.rollback()
            assert answer.result() is told


def wait_until_blocked(conn: psycopg.Connection[Row], pid: int) -> None:
    """The server knows who waits for whom."""
    blocked = threading.Event()
    while not blocked.wait(0.001):
        if scalar(conn, "SELECT cardinality(pg_blocking_pids(%s))", pid):
            blocked.set()


def test_a_key_is_forgotten_when_its_time_is_over(conn: psycopg.Connection[Row]) -> None:
    with conn.transaction():
        assert queue.once(conn, "k", context=CONTEXT, keep="1h")
        assert queue.once(conn, "kept", context=CONTEXT)
    advance_clock(conn, timedelta(hours=2))
    with conn.transaction():
        assert queue.once(conn, "k", context=CONTEXT, keep="1h")
    advance_clock(conn, timedelta(hours=4))
    assert len(conn.execute(statement("prune_once")).fetchall()) == 1
    assert scalar(conn, "SELECT key FROM pgqueue.once_keys") == "kept"


def test_a_connection_without_a_transaction_is_refused(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(TransactionUnusable, match="transaction of its effect"):
        queue.once(conn, "k", context=CONTEXT)


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "0 characters long"), ("x" * 10_000, "10000 characters long"), (7, "a int"), ("a\x00", "NUL")],
)
def test_a_key_that_cannot_be_stored_is_refused(engine: sa.Engine, key: str, says: str) -> None:
    with Session(engine) as session, pytest.raises(InvalidJob, match=says):
        queue.once(session, key, context=CONTEXT)
