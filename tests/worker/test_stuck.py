"""Threads, tasks and hooks that ignore their end: counted, replaced, and ended with the process in the last resort."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Death, Job, JobContext, Retry
from pgqueue.worker.running import Leftovers
from tests.worker.harness import PATIENCE, Hall, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
SHORT = "200ms"


class Stage:
    def __init__(self) -> None:
        self.leave = threading.Event()
        self.now = self.most = self.runs = 0
        self.ended = threading.Semaphore(0)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.leave.set()  # no thread outlives its test
    for _ in range(made.runs):
        assert made.ended.acquire(timeout=PATIENCE)


class StuckInThread(Job, timeout=SHORT, retry=Retry(3, ["1s"])):
    def run(self, app: Stage, ctx: JobContext) -> None:
        app.runs += 1
        app.now += 1
        app.most = max(app.most, app.now)
        app.leave.wait(PATIENCE)
        app.now -= 1
        app.ended.release()


class StuckTask(Job, timeout=SHORT, retry=Retry(2, ["60s"])):
    async def run(self, app: Stage, ctx: JobContext) -> None:
        while not app.leave.is_set():
            try:
                await asyncio.sleep(0.005 * ctx.attempt)
            except asyncio.CancelledError:
                continue


class Fine(Job):
    def run(self, app: Stage, ctx: JobContext) -> None:
        """Do nothing, in a thread."""


class HangsAtItsGrave(Job, timeout=SHORT, retry=Retry(1, [])):
    def run(self, app: Stage, ctx: JobContext) -> None:
        raise ValueError("no")

    def on_dead(self, app: Stage, session: Any, death: Death) -> None:
        app.runs += 1
        app.leave.wait(PATIENCE)
        app.ended.release()


async def test_a_second_attempt_waits_for_the_thread_of_the_first(hall: Hall, stage: Stage) -> None:
    hall.serve(StuckInThread, handle=stage, time_scale=10.0)
    job_id = hall.enqueue(StuckInThread())
    async with hall.working():
        await until(lambda: hall.claims(job_id) >= 4)
        assert (stage.most, stage.runs) == (1, 1)
        stage.leave.set()
        await until(lambda: hall.state(job_id) == "completed")
    assert (stage.most, stage.runs) == (1, 2)
    assert hall.job(job_id, "attempt") == 2  # waiting spent none


async def test_stuck_threads_do_not_eat_the_slots_and_too_many_end_the_process(hall: Hall, stage: Stage) -> None:
    hall.serve(StuckInThread, Fine, handle=stage, concurrency=1, max_stuck=3)
    for _ in range(2):
        hall.enqueue(StuckInThread())
    worker = hall.worker()
    task = asyncio.create_task(worker.run())
    await until(lambda: len(worker.runner.leftovers) == 2)
    fine = hall.enqueue(Fine())
    await until(lambda: hall.state(fine) == "completed")
    hall.enqueue(StuckInThread())
    late = hall.enqueue(Fine(), delay="1h")
    async with asyncio.timeout(PATIENCE):
        assert await task == 1
    assert hall.state(late) in {"enqueued", "waiting"}


async def test_a_task_that_swallows_its_cancellation_is_replaced(
    hall: Hall, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgqueue.worker.watch._DEAF", 0.1)
    hall.serve(StuckTask, Fine, handle=stage, concurrency=1)
    job_id = hall.enqueue(StuckTask())
    async with hall.working() as worker:
        await until(lambda: hall.state(job_id) == "waiting")
        assert len(worker.runner.leftovers) == 1
        fine = hall.enqueue(Fine())
        await until(lambda: hall.state(fine) == "completed")  # in the one slot there is
        stage.leave.set()
        await until(lambda: len(worker.runner.leftovers) == 0)
        assert worker.slots.running == 0
        assert len(worker.crew.tasks) == 1
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert hall.ledger.moments.count((job_id, "retry")) == 1


async def test_too_many_deaf_tasks_end_the_process(hall: Hall, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgqueue.worker.watch._DEAF", 0.1)
    monkeypatch.setattr("pgqueue.worker.process._PATIENCE", 0.3)
    hall.serve(StuckTask, handle=stage, max_stuck=2)
    ids = [hall.enqueue(StuckTask()) for _ in range(2)]
    worker = hall.worker()
    async with asyncio.timeout(PATIENCE):
        assert await worker.run() == 1
    assert worker.stubborn  # the command ends the process hard
    assert [hall.state(each) for each in ids] == ["waiting"] * 2
    stage.leave.set()
    await until(lambda: all(task.done() for task in worker.crew.tasks))


async def test_an_on_dead_in_a_thread_that_hangs_keeps_neither_the_job_nor_the_worker(hall: Hall, stage: Stage) -> None:
    hall.serve(HangsAtItsGrave, Fine, handle=stage, concurrency=1)
    job_id = hall.enqueue(HangsAtItsGrave())
    async with hall.working():
        await until(lambda: hall.state(job_id) == "dead")
        fine = hall.enqueue(Fine())
        await until(lambda: hall.state(fine) == "completed")
        assert stage.runs == 1
        stage.leave.set()
        await until(lambda: stage.ended.acquire(blocking=False))
        stage.ended.release()
    assert hall.dead(job_id, "reason") == "attempts"


def test_a_run_that_waits_too_long_for_its_earlier_one_asks_for_the_end_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pgqueue.worker.running._LEAST_PATIENCE", 0.0)
    left = Leftovers(10)
    left.add("thread", 7, 0.0)
    assert not left.blocks(8)
    assert left.too_many() is None  # nobody waits for it
    assert left.blocks(7)
    assert "job 7 waits" in (left.too_many() or "")
    left.end("thread")
    assert not left.blocks(7)
    assert left.too_many() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_whose_heartbeat_thread_broke_gives_its_jobs_back_and_ends(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: object) -> None:
        raise SystemExit  # ends a thread without a word

    monkeypatch.setattr("pgqueue.worker.heartbeat.Heartbeat.beat", broken)
    hall.serve(Fine, heartbeat="50ms", lease="6s")
    async with asyncio.timeout(PATIENCE):
        assert await hall.worker().run() == 1


class CleansUp(Job):
    async def run(self, app: list[str], ctx: JobContext) -> None:
        app.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            await until(lambda: "may end" in app)
            app.append("cleaned up")


async def test_the_end_of_a_worker_breaks_off_no_job_that_cleans_up(hall: Hall) -> None:
    said: list[str] = []
    hall.serve(CleansUp, handle=said)
    hall.enqueue(CleansUp())
    async with hall.working() as worker:
        await until(lambda: said)
        for _ in range(2):
            worker.stop()
        worker.crew.halt()
        said.append("may end")
    assert said == ["began", "may end", "cleaned up"]
