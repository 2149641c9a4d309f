"""Locks with a time to live: one holder at a time, and a fence for whoever comes too late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from pgqueue import AsyncQueue, Queue, Settings
from pgqueue.errors import ConfigurationError, InvalidJob, LockLost, LockTaken
from tests.api.jobs import SETTINGS
from tests.sql.client import Connection, advance_clock, scalar, statement


@pytest.fixture
def queue(database_url: str) -> Queue:
    return Queue(Settings(environment={}, database_url=database_url), wake="off")


def test_of_eight_who_ask_at_once_one_gets_it(queue: Queue) -> None:
    start = threading.Barrier(8)

    def ask(_: int) -> bool:
        start.wait()
        return queue.lock("publish:1", ttl="120s").acquire()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [False] * 7 + [True]


def test_whoever_comes_second_learns_when_it_may_be_free(queue: Queue) -> None:
    with queue.lock("publish:1", ttl="120s") as held:
        with (
            pytest.raises(LockTaken, match="somebody holds the lock 'publish:1'") as refused,
            queue.lock("publish:1", ttl="1s"),
        ):
            pass
        assert timedelta(seconds=60) < refused.value.retry_after <= timedelta(seconds=120)
        assert queue.lock("publish:2", ttl="1s").acquire()
    assert held.fence is None
    assert queue.lock("publish:1", ttl="1s").acquire()


def test_a_holder_that_died_blocks_nobody_for_longer_than_its_ttl(queue: Queue, conn: Connection) -> None:
    dead = queue.lock("k", ttl="10s")
    assert dead.acquire()
    advance_clock(conn, timedelta(seconds=11))
    heir = queue.lock("k", ttl="10s")
    assert heir.acquire()
    assert (heir.fence or 0) > (dead.fence or 0)
    with pytest.raises(LockLost, match="rolled back"):
        dead.extend()
    with pytest.raises(LockLost, match="acquire it first"):
        dead.release()


def test_extending_keeps_it(queue: Queue, conn: Connection) -> None:
    held = queue.lock("k", ttl="10s")
    held.acquire()
    advance_clock(conn, timedelta(seconds=8))
    held.extend()
    advance_clock(conn, timedelta(seconds=16))
    assert not queue.lock("k", ttl="10s").acquire()


def test_fences_grow_even_when_the_row_is_gone(queue: Queue) -> None:
    fences = []
    for _ in range(3):
        with queue.lock("k", ttl="10s") as held:
            fences.append(held.fence)
    assert fences == sorted(set(fences), key=lambda fence: fence or 0)


def test_a_transaction_that_came_too_late_is_stopped(queue: Queue, conn: Connection, database_url: str) -> None:
    held = queue.lock("k", ttl="10s")
    held.acquire()
    advance_clock(conn, timedelta(seconds=11))
    with psycopg.connect(database_url) as session, pytest.raises(LockLost):
        held.assert_held(session)


def test_nobody_takes_over_while_a_transaction_relies_on_the_lock(
    queue: Queue, conn: Connection, database_url: str
) -> None:
    held, heir = queue.lock("k", ttl="10s"), queue.lock("k", ttl="10s")
    held.acquire()
    with psycopg.connect(database_url) as session:
        held.assert_held(session)
        advance_clock(conn, timedelta(seconds=11))
        assert not heir.acquire()
        assert not held.release()  # it is left to its ttl instead of waiting for its own transaction
        session.commit()
    assert heir.acquire()


@pytest.mark.anyio
async def test_the_async_face_does_the_same(
    database_url: str, aconn: psycopg.AsyncConnection[tuple[object, ...]]
) -> None:
    queue = AsyncQueue(Settings(environment={}, database_url=database_url), wake="off")
    async with queue.lock("k", ttl="10s") as held:
        await held.extend()
        async with aconn.transaction():
            await held.assert_held(aconn)
        with pytest.raises(LockTaken):
            async with queue.lock("k", ttl="10s"):
                pass
    assert await queue.lock("k", ttl="10s").acquire()


def test_what_is_refused(queue: Queue) -> None:
    with pytest.raises(InvalidJob, match="the name of a lock is 10000 characters long"):
        queue.lock("x" * 10_000, ttl="1s")
    with pytest.raises(ConfigurationError, match="at least one second"):
        queue.lock("k", ttl="500ms")
    with pytest.raises(ConfigurationError, match="set PGQUEUE_DATABASE_URL or pass url="):
        Queue(SETTINGS, wake="off").lock("k", ttl="1s")
    with pytest.raises(LockLost, match="acquire it first"):
        queue.lock("k", ttl="1s").extend()


def test_expired_locks_are_pruned_after_an_hour(queue: Queue, conn: Connection) -> None:
    queue.lock("k", ttl="10s").acquire()
    for hours, gone in ((0.5, 0), (2, 1)):
        advance_clock(conn, timedelta(hours=hours))
        assert len(conn.execute(statement("prune_locks")).fetchall()) == gone
    assert scalar(conn, "SELECT count(*) FROM pgqueue.locks") == 0
