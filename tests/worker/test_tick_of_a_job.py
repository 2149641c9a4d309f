"""A job of a schedule can ask for which tick it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Context, JobContext, Schedules
from pgqueue.policy import Policy
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.worker.engines import Engines
from tests.unit.claims import claimed
from tests.worker.clockwork import QUEUE, Purge, at, entry, put_clock, scheduler, settle

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from tests.sql.client import Connection

pytestmark = pytest.mark.anyio


def running(job_id: int) -> JobContext:
    """What that job is handed."""
    return JobContext(claimed(id=job_id), Policy(), 1.0, Engines("postgresql:///none", 1, None, None), Lifecycle())


async def test_a_job_is_told_its_tick_and_not_when_it_started(
    database_url: str, conn: Connection, aconn: AsyncConnection[tuple[Any, ...]]
) -> None:
    put_clock(conn, "2026-03-01 00:00")
    async with scheduler(database_url, entry(cron="30 2 * * *", jitter="10m")) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 02:30")
        await settle(one)
    ((job,),) = conn.execute("SELECT id FROM pgqueue.outbox").fetchall()
    put_clock(conn, "2026-03-01 02:39")
    assert running(job).tick(conn) == at("2026-03-01 02:30")
    assert await running(job).tick_async(aconn) == at("2026-03-01 02:30")
    asked = Schedules(QUEUE).run(conn, "purge", by="ann")
    assert running(asked).tick(conn) == at("2026-03-01 02:39")
    plain = QUEUE.enqueue(conn, Purge(), context=Context("acme", "ann"))
    assert running(plain).tick(conn) is None
