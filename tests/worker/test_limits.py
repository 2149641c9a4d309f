"""Timeouts, cancellation, leases: how a running job is ended, and what happens if it does not mind."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import psycopg
import pytest

from pgqueue import Job, JobContext, QueueSettings, Retry
from tests.worker.harness import CONTEXT, PATIENCE, Hall, until

pytestmark = pytest.mark.anyio
SOON = Retry(2, ["60s"])


class Stage:
    """Where jobs of these tests meet the test."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.leave = threading.Event()
        self.notes: list[str] = []


class Waiting(Job, timeout="250ms", retry=SOON):
    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.running.set()
        await asyncio.Event().wait()


class WaitingInThread(Job, timeout="250ms", retry=SOON):
    def run(self, app: Stage, ctx: JobContext) -> None:
        app.running.set()
        app.leave.wait(PATIENCE)
        app.notes.append(f"cancelled={ctx.cancelled}")


class Patient(Job, timeout="1h", retry=SOON):
    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            app.notes.append(f"cancelled={ctx.cancelled}")
            raise


class Deaf(Job, timeout="1h", retry=SOON):
    """Swallows the first cancellation and finishes its work."""

    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.running.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        app.notes.append("done anyway")


class Brief(Job):
    n: int = 0

    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.notes.append(f"brief {self.n}")


class Blocking(Job, timeout="1h"):
    """Holds the whole event loop, as bad code does, for longer than the lease; then looks at its lease."""

    url: str

    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.leave.wait(2.0)  # nobody lets it go
        with psycopg.connect(self.url) as conn:
            row = conn.execute("SELECT lease_until > pgqueue.clock() FROM pgqueue.jobs").fetchone()
        app.notes.append(f"leased={row}")


@pytest.mark.parametrize("kind", [Waiting, WaitingInThread])
async def test_a_job_that_runs_too_long_is_a_failed_attempt(hall: Hall, kind: type[Job]) -> None:
    stage = Stage()
    hall.serve(kind, Brief, handle=stage)
    job_id = hall.enqueue(kind())
    async with hall.working():
        await until(lambda: hall.state(job_id) == "waiting")
        after = hall.enqueue(Brief())
        await until(lambda: hall.state(after) == "completed")  # its slot is free again
        stage.leave.set()
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert "0.25 s" in hall.job(job_id, "errors")[0]["error"]
    assert hall.job(job_id, "attempt") == 1


async def test_a_thread_that_ran_too_long_is_told_and_cannot_settle(hall: Hall) -> None:
    stage = Stage()
    hall.serve(WaitingInThread, handle=stage)
    job_id = hall.enqueue(WaitingInThread())
    async with hall.working():
        await until(lambda: hall.state(job_id) == "waiting")
        stage.leave.set()
        await until(lambda: stage.notes)
    assert stage.notes == ["cancelled=True"]
    assert hall.state(job_id) == "waiting"


async def test_a_queues_timeout_holds_for_its_jobs(hall: Hall) -> None:
    class Endless(Job, retry=SOON):
        async def run(self, app: Stage, ctx: JobContext) -> None:
            await asyncio.Event().wait()

    hall.serve(Endless, handle=Stage(), queues={"default": QueueSettings(timeout="200ms")})
    job_id = await hall.run_one(Endless())
    assert "0.2 s" in hall.job(job_id, "errors")[0]["error"]


async def test_a_running_job_is_cancelled_through_the_heartbeat(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Patient, handle=stage, lease="1s", heartbeat="100ms")
    job_id = hall.enqueue(Patient())
    async with hall.working():
        await until(stage.running.is_set)
        assert hall.queue.cancel(hall.conn, job_id, reason="no longer") == "asked"
        await until(lambda: hall.state(job_id) == "cancelled")
    assert stage.notes == ["cancelled=True"]


async def test_a_job_that_swallows_its_cancellation_may_finish_and_its_slot_lives_on(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Deaf, Brief, handle=stage, lease="1s", heartbeat="100ms", concurrency=1)
    job_id = hall.enqueue(Deaf())
    async with hall.working():
        await until(stage.running.is_set)
        hall.queue.cancel(hall.conn, job_id)
        await until(lambda: hall.state(job_id) == "completed")
        after = hall.enqueue(Brief())
        await until(lambda: hall.state(after) == "completed")
    assert stage.notes == ["done anyway", "brief 0"]


async def test_a_blocked_event_loop_keeps_its_leases(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Blocking, handle=stage, lease="1s", heartbeat="200ms")
    job_id = await hall.run_one(Blocking(url=hall.url), context=CONTEXT)
    assert hall.state(job_id) == "completed"
    assert stage.notes == ["leased=(True,)"]
    assert (hall.ledger.lost, hall.ledger.rescues) == ([], [])


async def test_a_lost_lease_cannot_settle(hall: Hall) -> None:
    stage = Stage()

    class Held(Job):
        def run(self, app: Stage, ctx: JobContext) -> None:
            app.running.set()
            app.leave.wait(PATIENCE)

    hall.serve(Held, handle=stage)
    job_id = hall.enqueue(Held())
    async with hall.working():
        await until(stage.running.is_set)
        hall.conn.execute("UPDATE pgqueue.jobs SET claims = claims + 1")
        stage.leave.set()
        await until(lambda: hall.ledger.lost)
    assert hall.ledger.lost == [job_id]
    assert hall.state(job_id) == "running"


async def test_a_worker_that_cannot_renew_stops_its_jobs_before_the_lease_is_over(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Patient, handle=stage, lease="1s", heartbeat="200ms", drain="200ms")
    job_id = hall.enqueue(Patient())
    async with hall.working():
        await until(stage.running.is_set)
        cutting = asyncio.create_task(asyncio.to_thread(_cut_heartbeats, hall.url))
        await until(lambda: stage.notes)
        assert stage.notes == ["cancelled=True"]
        assert hall.state(job_id) == "running"  # nothing was settled: another worker may have it by now
        await cutting


def _cut_heartbeats(url: str) -> None:
    """End every connection of a heartbeat at once, for longer than a lease."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            """DO $$ BEGIN
                 WHILE clock_timestamp() < now() + interval '1500 ms' LOOP
                   PERFORM pg_stat_clear_snapshot();
                   PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'pgqueue heartbeat';
                   PERFORM pg_sleep(0.0005);
                 END LOOP;
               END $$"""
        )


async def test_the_event_loop_never_starves(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Brief, handle=stage, concurrency=20)
    count = 3000
    hall.queue.enqueue_many(hall.conn, [Brief(n=n) for n in range(count)], context=CONTEXT)
    worst, last = 0.0, time.monotonic()
    async with hall.working():
        while len(stage.notes) < count:
            await asyncio.sleep(0)
            now = time.monotonic()
            worst, last = max(worst, now - last), now
        await until(lambda: hall.states().count("completed") == count)
    assert worst < 1.0
    assert len(set(stage.notes)) == count


async def test_queues_run_within_their_workers(hall: Hall) -> None:
    class Counted(Job, queue="narrow"):
        async def run(self, app: dict[str, int], ctx: JobContext) -> None:
            app["now"] += 1
            app["most"] = max(app["most"], app["now"])
            for _ in range(20):
                await asyncio.sleep(0)
            app["now"] -= 1

    seen = {"now": 0, "most": 0}
    queues = {"default": QueueSettings(), "narrow": QueueSettings(workers=2, priority="high")}
    hall.serve(Counted, handle=seen, queues=queues, concurrency=10)
    hall.queue.enqueue_many(hall.conn, [Counted() for _ in range(40)], context=CONTEXT)
    await hall.work_off()
    assert seen == {"now": 0, "most": 2}


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(hall: Hall) -> None:
    stage = Stage()
    hall.serve(Brief, handle=stage)
    async with hall.working():
        await until(lambda: hall.queue.pause(hall.conn, "default"))
        job_id = hall.enqueue(Brief(n=1))
        await until(lambda: hall.state(job_id) == "ready")
        hall.queue.resume(hall.conn, "default")
        await until(lambda: hall.state(job_id) == "completed")
