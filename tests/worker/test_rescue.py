"""Rescue and heartbeat: no job is forgotten, and no run goes on beside another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue import Job, JobContext, Settings
from pgqueue.queries.upkeep import Upkeep
from pgqueue.telemetry import Telemetry
from pgqueue.worker.link import Link
from pgqueue.worker.upkeep import Rescue
from tests.sql.client import Relay, claim, enqueue, expire_leases, scalar, state_of
from tests.worker.harness import Box, Ledger, until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio


class Asks(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        await app(ctx)


async def test_a_statement_that_fails_makes_rescue_forget_no_job(hall: Hall) -> None:
    ledger, settings = Ledger(), Settings(environment={}, lease="6s", heartbeat="2s")
    link = Link(hall.url, settings, "upkeep")
    rescue = Rescue(link, Upkeep(), settings, Telemetry([ledger]))
    relay = Relay(hall.conn)
    jobs = [enqueue(hall.conn) for _ in range(3)]
    relay.tick()
    claim(hall.conn, 3)
    relay.tick()
    assert await rescue.tick() == 0  # seen running
    conn = await link.open()
    hall.conn.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        await rescue.tick()
    expire_leases(hall.conn)
    await link.renew()
    assert await rescue.tick() == 3
    assert sorted(ledger.rescues) == jobs
    await link.close()


async def test_a_row_claimed_below_what_was_read_is_found_by_the_net(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(environment={}, lease="6s", heartbeat="2s")
    link = Link(hall.url, settings, "upkeep")
    rescue = Rescue(link, Upkeep(), settings, Telemetry([]))
    relay = Relay(hall.conn)
    enqueue(hall.conn)
    relay.tick()
    claim(hall.conn, 1)
    relay.tick()
    monkeypatch.setattr(rescue, "_read_to", {("default", 0): 1_000})  # as if V had passed the row before its claim
    expire_leases(hall.conn)
    assert await rescue.tick() == 0
    monkeypatch.setattr(rescue, "_again", 0.0)
    assert await rescue.tick() == 1
    await link.close()


async def test_a_locked_row_of_the_worker_does_not_stop_its_heartbeat(hall: Hall) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: JobContext) -> None:
        began.set()
        await go_on.wait()

    hall.serve(Asks, handle=Box(wait), lease="60s", heartbeat="100ms")
    job = hall.enqueue(Asks())
    async with hall.working():
        await until(began.is_set)
        with psycopg.connect(hall.url) as other:
            other.execute("SELECT FROM pgqueue.workers FOR UPDATE")
            hall.conn.execute("UPDATE pgqueue.jobs SET lease_until = pgqueue.clock() - interval '1 s'")
            await until(lambda: scalar(hall.conn, "SELECT lease_until > pgqueue.clock() FROM pgqueue.jobs"))
        go_on.set()
        await until(lambda: state_of(hall.conn, job) == "completed")


async def test_a_run_whose_lease_was_lost_without_a_word_is_stopped(hall: Hall) -> None:
    ended: list[bool] = []

    async def wait(ctx: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ctx.cancelled)

    hall.serve(Asks, handle=Box(wait), lease="60s", heartbeat="100ms")
    job = hall.enqueue(Asks())
    async with hall.working() as worker:
        await until(lambda: worker.runner.running)
        hall.conn.execute("UPDATE pgqueue.jobs SET claims = claims + 1, claimed_by = gen_random_uuid()")
        await until(lambda: ended)
        assert ended == [True]
        assert state_of(hall.conn, job) == "running"


async def test_parked_jobs_go_on_while_a_worker_lives_that_knows_them(hall: Hall) -> None:
    async def nothing(_ctx: JobContext) -> None:
        return None

    hall.serve(Asks, handle=Box(nothing))
    async with hall.working() as worker:
        await until(lambda: scalar(hall.conn, "SELECT count(*) FROM pgqueue.workers") == 1)
        with hall.conn.transaction():
            job = hall.enqueue(Asks(), delay="1h")
        await until(lambda: state_of(hall.conn, job) == "waiting")
        hall.conn.execute("UPDATE pgqueue.jobs SET run_at = NULL, hold = 'kind:Asks@1'")
        worker.keeper._due.pop("unpark", None)
        worker.upkeep_loop.wake()
        await until(lambda: state_of(hall.conn, job) == "completed")
