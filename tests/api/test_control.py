"""cancel, requeue, discard, pause, resume: in the caller's transaction, with both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from pgqueue import AsyncQueue, Queue
from pgqueue.db import run
from pgqueue.failure import Failure
from pgqueue.outcome import Claimed, bury
from pgqueue.queries.lifecycle import Lifecycle
from tests.api.jobs import CONTEXT, SETTINGS, Letter

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.api.jobs import Row

queue, aqueue = Queue(SETTINGS, wake="off"), AsyncQueue(SETTINGS, wake="off")
WORKER = UUID(int=1)


def state(conn: psycopg.Connection[Row], job_id: int) -> str | None:
    row = conn.execute("SELECT state FROM pgqueue.all_jobs WHERE id = %s", [job_id]).fetchone()
    return str(row[0]) if row else None


def claim_all(conn: psycopg.Connection[Row]) -> list[Claimed]:
    """What a relay and a worker would do."""
    from datetime import timedelta

    lifecycle = Lifecycle()
    run(conn, lifecycle.relay(None, batch=100, term=timedelta(milliseconds=1), wake=None))
    return run(conn, lifecycle.claim(WORKER, {"mail": 100}, timedelta(minutes=1)))


def kill(conn: psycopg.Connection[Row]) -> int:
    job_id = queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    (claimed,) = claim_all(conn)
    assert run(conn, Lifecycle().settle([bury(claimed, "dead", Failure("Dead", "no use"))])) == []
    return job_id


def test_a_waiting_job_is_cancelled_at_once_and_once(conn: psycopg.Connection[Row]) -> None:
    job_id = queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    assert queue.cancel(conn, job_id, reason="changed my mind") == "cancelled"
    assert state(conn, job_id) == "cancelled"
    assert queue.cancel(conn, job_id) is None


def test_a_running_job_is_asked(conn: psycopg.Connection[Row]) -> None:
    job_id = queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    claim_all(conn)
    assert queue.cancel(conn, job_id) == "asked"
    assert state(conn, job_id) == "running"


def test_a_rolled_back_cancel_changes_nothing(engine: sa.Engine, conn: psycopg.Connection[Row]) -> None:
    job_id = queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    with Session(engine) as session:
        assert queue.cancel(session, job_id) == "cancelled"
        session.rollback()
    assert state(conn, job_id) == "enqueued"


def test_a_dead_job_is_requeued_or_discarded(conn: psycopg.Connection[Row]) -> None:
    first, second = kill(conn), kill(conn)
    assert queue.requeue(conn, [first, 999_999], by="ann") == [first]
    assert queue.discard(conn, [second, first], by="ann", reason="not worth it") == [second]
    assert (state(conn, first), state(conn, second)) == ("waiting", "discarded")
    assert queue.requeue(conn, [first], by="ann") == []


def test_a_paused_queue_gives_nothing_until_it_is_resumed(conn: psycopg.Connection[Row]) -> None:
    queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    claim_all(conn)
    assert queue.pause(conn, "mail", by="ann") is True
    later = queue.enqueue(conn, Letter(to="b"), context=CONTEXT)
    assert claim_all(conn) == []
    assert queue.resume(conn, "mail") is True
    assert [claimed.id for claimed in claim_all(conn)] == [later]


def test_a_queue_that_nobody_knows_cannot_be_paused(conn: psycopg.Connection[Row]) -> None:
    assert queue.pause(conn, "nowhere") is False
    assert queue.resume(conn, "nowhere") is False


@pytest.mark.anyio
async def test_the_asynchronous_face_does_the_same(aengine: AsyncEngine, conn: psycopg.Connection[Row]) -> None:
    dead, other = kill(conn), kill(conn)
    async with AsyncSession(aengine) as session, session.begin():
        waiting = await aqueue.enqueue(session, Letter(to="a"), context=CONTEXT)
        assert await aqueue.cancel(session, waiting, reason="no") == "cancelled"
        assert await aqueue.requeue(session, [dead], by="ann") == [dead]
        assert await aqueue.discard(session, [other], by="ann") == [other]
        assert await aqueue.pause(session, "mail") is True
        assert await aqueue.resume(session, "mail") is True
    assert (state(conn, waiting), state(conn, dead), state(conn, other)) == ("cancelled", "waiting", "discarded")
