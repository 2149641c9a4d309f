"""Children that crash, are replaced or cannot start: what it costs, and whom."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pgqueue.telemetry import Telemetry
from pgqueue.worker import limits
from pgqueue.worker.children.start import warm
from pgqueue.worker.process import Worker
from tests.sql.client import NO_TERM, Relay
from tests.worker.children import (
    Answer,
    Die,
    Effect,
    Endless,
    Tell,
    app,
    broken,
    queue,
)
from tests.worker.family import executors, is_alive, noted_pids, templates
from tests.worker.harness import CONTEXT, until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for families and memory"),
]


@pytest.fixture(autouse=True)
def _application(children_app: None) -> None:
    """All tests here serve the application of child processes."""


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["exit", "kill", "segfault", "abort", "channel"])
async def test_a_job_that_ends_its_process_is_buried_after_three_crashes(hall: Hall, how: str) -> None:
    app.settings = app.settings.changed(time_scale=50.0)
    job_id = hall.enqueue(Die(how=how))
    beside = [hall.enqueue(Tell(text=str(n))) for n in range(8)]
    async with hall.working():
        await until(lambda: hall.state(job_id) == "dead")
    assert (hall.dead(job_id, "reason"), hall.dead(job_id, "crashes")) == ("crashed", 3)
    assert len(set(noted_pids(hall.effects(), "dying"))) == 3
    assert hall.ledger.crashes == [job_id] * 3
    assert hall.effects().count("buried crashed") == 1
    assert [hall.state(each) for each in beside] == ["completed"] * 8
    assert {hall.job(each, "crashes") for each in beside} == {0}
    if how == "segfault":
        assert "SIGSEGV" in hall.dead(job_id, "error")


async def test_a_job_that_ends_the_template_is_buried_too_and_another_template_is_started(hall: Hall) -> None:
    app.settings = app.settings.changed(time_scale=50.0)
    job_id = hall.enqueue(Die(how="template"))
    async with hall.working():
        await until(lambda: hall.state(job_id) == "dead")
        after = hall.enqueue(Tell())
        await until(lambda: hall.state(after) == "completed")
    assert hall.dead(job_id, "reason") == "crashed"


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_under_random_kills_every_job_has_exactly_one_effect(hall: Hall) -> None:
    app.settings = app.settings.changed(time_scale=100.0, max_crashes=100)
    count, kills = 500, 0
    jobs = [Effect(number=n, how="async" if n % 2 else "sync") for n in range(count)]
    queue.enqueue_many(hall.conn, jobs, context=CONTEXT)
    async with hall.working():
        while (done := hall.states().count("completed")) < count:
            if kills <= done // 12 and (victims := executors()):
                os.kill(random.choice(victims), signal.SIGKILL)  # noqa: S311 - any of them
                kills += 1
            await asyncio.sleep(0)
    assert sorted(hall.effects()) == sorted(f"effect {n}" for n in range(count))
    assert kills > 25
    assert hall.ledger.crashes


async def test_each_suspect_runs_alone_in_a_fresh_child(hall: Hall) -> None:
    queue.enqueue_many(hall.conn, [Tell(text=str(n)) for n in range(40)], context=CONTEXT)
    Relay(hall.conn, term=NO_TERM).tick()
    hall.conn.execute("UPDATE pgqueue.jobs SET crashes = 2")  # as after the loss of two hosts
    await hall.work_off()
    assert hall.states() == ["completed"] * 40
    assert len({note.split()[2] for note in hall.effects()}) == 40


# ── the processes themselves ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.timeout(120)
async def test_recycled_children_leave_nothing_behind(hall: Hall) -> None:
    app.settings = app.settings.changed(child_jobs=1).model_copy(update={"alerts": None})  # they open a connection late

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    async with hall.working():
        queue.enqueue_many(hall.conn, [Answer(answer="done") for _ in range(20)], context=CONTEXT)
        await until(lambda: hall.states().count("completed") == 20 and not executors())
        before = held()
        queue.enqueue_many(hall.conn, [Answer(answer="done") for _ in range(200)], context=CONTEXT)
        await until(lambda: hall.states().count("completed") == 220 and not executors(), patience=50)
        assert held() == before
    assert templates() == []


async def test_only_a_worker_that_serves_a_queue_of_such_jobs_keeps_a_template(hall: Hall) -> None:
    app.settings = app.settings.changed(queues={"default": {}, "other": {}})
    for served, kept in (("other", 0), ("default", 1)):
        worker = Worker(hall.app, hall.url, limits(hall.app, [served]), Telemetry([]))
        await warm(worker.children, worker.runner, worker.slots.served)
        assert len(templates()) == kept
        if worker.children is not None:
            await worker.children.close()


@pytest.mark.parametrize("bound", [{"child_jobs": 1}, {"child_memory": "1MB"}])
async def test_a_child_is_replaced_after_enough_jobs_or_too_much_memory(hall: Hall, bound: dict[str, object]) -> None:
    app.settings = app.settings.changed(concurrency=1, **bound)
    queue.enqueue_many(hall.conn, [Tell(text=str(n)) for n in range(3)], context=CONTEXT)
    await hall.work_off()
    assert len({note.split()[2] for note in hall.effects()}) == 3


async def test_an_application_whose_import_starts_threads_gets_children_all_the_same(hall: Hall) -> None:
    app.path = "tests.worker.threaded:app"
    job_id = hall.enqueue(Endless(how="python"))
    told = hall.enqueue(Tell())
    await hall.work_off()
    assert hall.state(told) == "completed"
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert not any(map(is_alive, noted_pids(hall.effects(), "endless")))


async def test_a_child_that_cannot_start_costs_no_job_anything(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_WORKER", str(os.getpid()))
    hall.app, broken.path = broken, "tests.worker.children:broken"
    job_id = hall.enqueue(Tell())
    async with hall.working():
        await until(lambda: "not today" in capfd.readouterr().out)
        await until(lambda: hall.state(job_id) == "waiting")
    assert (hall.job(job_id, "attempt"), hall.job(job_id, "crashes"), hall.job(job_id, "errors")) == (0, 0, [])


async def test_an_application_made_by_hand_runs_such_jobs_in_the_worker_and_says_so(
    hall: Hall, capfd: pytest.CaptureFixture[str]
) -> None:
    app.path = None
    await hall.run_one(Tell())
    assert f"pid {os.getpid()}" in hall.effects()[0]
    assert "child.unavailable" in capfd.readouterr().out
