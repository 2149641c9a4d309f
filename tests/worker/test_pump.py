"""The pump: what happens to outcomes and claims when somebody is in the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue import Job, JobContext
from pgqueue.db import connect_async
from pgqueue.errors import DatabaseUnavailable
from tests.sql.client import expire_leases, state_of
from tests.worker.harness import Box, until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio


class Asks(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        await app(ctx)


class Quick(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        return None


async def test_a_row_that_somebody_keeps_locked_stops_neither_its_neighbours_nor_the_claims(hall: Hall) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: JobContext) -> None:
        began.set()
        await go_on.wait()

    hall.serve(Asks, Quick, handle=Box(wait))
    locked = hall.enqueue(Asks())
    async with hall.working():
        await until(began.is_set)
        with psycopg.connect(hall.url) as other:  # an open transaction that cancels the running job
            assert hall.queue.cancel(other, locked) == "asked"
            go_on.set()
            ids = [hall.enqueue(Quick()) for _ in range(5)]
            await until(lambda: {state_of(hall.conn, job) for job in ids} == {"completed"})
            assert state_of(hall.conn, locked) == "running"
            other.rollback()
        await until(lambda: state_of(hall.conn, locked) == "completed")
    assert hall.ledger.lost == []


async def test_outcomes_outlive_a_reconnect_that_fails(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 0

    async def refuse(url: str, **options: Any) -> Any:
        nonlocal refused
        refused += 1
        if refused <= 3:
            raise DatabaseUnavailable("not yet")
        return await connect_async(url, **options)

    async def cut(_ctx: JobContext) -> None:
        link = worker.links[0]
        assert link.conn is not None
        hall.conn.execute("SELECT pg_terminate_backend(%s)", [link.conn.info.backend_pid])
        monkeypatch.setattr("pgqueue.worker.link.connect_async", refuse)

    hall.serve(Asks, handle=Box(cut))
    async with hall.working() as worker:
        job = hall.enqueue(Asks())
        await until(lambda: state_of(hall.conn, job) == "completed")
        await until(lambda: not worker.pump.held)
    assert refused > 3
    assert hall.ledger.started_jobs == [job]


async def test_a_job_that_comes_back_to_its_own_worker_runs_once_at_a_time(hall: Hall) -> None:
    runs: list[int] = []
    alive = 0

    async def count(ctx: JobContext) -> None:
        nonlocal alive
        alive += 1
        runs.append(alive)
        try:
            if ctx.fence == 1:
                expire_leases(hall.conn)
                await asyncio.Event().wait()
        finally:
            alive -= 1

    hall.serve(Asks, handle=Box(count), lease="60s", heartbeat="30s")
    async with hall.working() as worker:
        job = hall.enqueue(Asks())
        await until(lambda: runs)
        worker.upkeep_loop.wake()
        await until(lambda: state_of(hall.conn, job) == "completed")
        await until(lambda: worker.pump.held == {})  # the answer to that settlement may be on its way
        assert worker.runner.running == {}
    assert len(runs) == 2
