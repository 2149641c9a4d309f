"""Jobs in child processes: what comes back, what ends them, and what they cannot do to anybody else."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sql.client import NO_TERM, Relay
from tests.worker.children import (
    OUTCOMES,
    PATH,
    SETTINGS,
    Answer,
    Busy,
    Die,
    Effect,
    Endless,
    Greedy,
    Linger,
    Modest,
    Polite,
    Swallow,
    Tell,
    app,
    broken,
    queue,
)
from tests.worker.family import executors, is_alive, templates
from tests.worker.harness import CONTEXT, eventually, until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for families and memory"),
]


@pytest.fixture(autouse=True)
def _application(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGQUEUE_DATABASE_URL", hall.url)
    hall.queue, hall.app = queue, app
    monkeypatch.setattr(app, "settings", SETTINGS)  # and whatever a test makes of it is undone
    monkeypatch.setattr(app, "path", PATH)


def pids(hall: Hall, word: str) -> list[int]:
    return [int(found[1]) for note in hall.effects() if (found := re.match(rf"{word} (\d+)", note))]


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_jobs_run_in_another_process_which_is_used_again(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    queue.enqueue_many(hall.conn, [Tell(text=str(n)) for n in range(12)], context=CONTEXT)
    await hall.work_off()
    assert hall.states() == ["completed"] * 12
    found = [re.fullmatch(r"(\d+) pid (\d+) attempt 1 org acme left True", note) for note in hall.effects()]
    assert sorted(int(each[1]) for each in found if each) == list(range(12))
    children = {int(each[2]) for each in found if each}
    assert os.getpid() not in children
    assert len(children) <= app.settings.concurrency
    eventually(lambda: not any(map(is_alive, children)))
    printed = capfd.readouterr()
    assert "printed 3" in printed.out
    assert "job.told" in printed.err


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("done", "completed"),
        ("none", "completed"),
        ("retry", "waiting"),
        ("snooze", "waiting"),
        ("discard", "discarded"),
        ("cancel", "cancelled"),
        ("dead", "dead"),
        ("continue", "completed"),
        ("raise", "waiting"),
        ("unprintable", "waiting"),
        ("exit", "waiting"),
        ("object", "waiting"),
    ],
)
async def test_every_outcome_comes_back_from_a_child(hall: Hall, answer: str, state: str) -> None:
    job_id = await hall.run_one(Answer(answer=answer))
    assert hall.state(job_id) == state
    attempts = {"snooze": 0}.get(answer, 1)
    assert hall.job(job_id, "attempt") == attempts
    assert hall.job(job_id, "crashes") == 0
    if answer == "continue":
        assert [note.split()[0] for note in hall.effects()] == ["followed"]
    if answer == "snooze":
        assert 290 < hall.wait_of(job_id) <= 300
    if answer not in OUTCOMES:
        kinds = {"raise": "ValueError", "unprintable": "Unprintable", "exit": "SystemExit", "object": "WrongResult"}
        assert hall.job(job_id, "errors")[0]["type"] == kinds[answer]


@pytest.mark.parametrize("how", ["sync", "async"])
async def test_effect_and_completion_are_one_commit_in_a_child_too(hall: Hall, how: str) -> None:
    job_id = await hall.run_one(Effect(number=1, how=how))
    assert hall.state(job_id) == "completed"
    assert hall.effects() == ["effect 1"]
    assert (job_id, "complete") in hall.ledger.moments


async def test_large_arguments_reach_a_child(hall: Hall) -> None:
    await hall.run_one(Tell(text="x" * 250_000))
    assert len(hall.effects()[0]) > 250_000


# ── what ends them ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["python", "sleep", "gil", "regex", "grandchild", "wait"])
async def test_a_job_that_never_ends_is_killed_at_its_timeout(hall: Hall, how: str) -> None:
    job_id = hall.enqueue(Endless(how=how))
    beside = [hall.enqueue(Tell(text=str(n))) for n in range(5)]
    await hall.work_off()
    assert hall.state(job_id) == "waiting"
    assert (hall.job(job_id, "attempt"), hall.job(job_id, "crashes")) == (1, 0)
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert [hall.state(each) for each in beside] == ["completed"] * 5
    assert hall.ledger.lost == []
    assert not any(map(is_alive, pids(hall, "endless")))


async def test_a_task_that_swallows_its_cancellation_is_killed(hall: Hall) -> None:
    job_id = await hall.run_one(Swallow())
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert not any(map(is_alive, pids(hall, "endless")))


async def test_a_job_may_tidy_up_before_it_is_killed(hall: Hall) -> None:
    job_id = await hall.run_one(Polite())
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert hall.effects() == ["tidied True"]


async def test_a_cancelled_job_is_killed(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working():
        (pid,) = await until(lambda: pids(hall, "endless"))
        queue.cancel(hall.conn, job_id)
        await until(lambda: hall.state(job_id) == "cancelled")
        assert not is_alive(pid)


async def test_a_job_whose_lease_is_lost_is_killed(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working():
        (pid,) = await until(lambda: pids(hall, "endless"))
        hall.conn.execute("UPDATE pgqueue.jobs SET claims = claims + 1")
        await until(lambda: not is_alive(pid))
    assert hall.state(job_id) == "running"  # nothing was settled


async def test_a_job_is_given_back_and_killed_when_its_worker_ends(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working() as worker:
        (pid,) = await until(lambda: pids(hall, "endless"))
        worker.stop()
        worker.stop()
    assert not is_alive(pid)
    assert hall.state(job_id) in {"waiting", "ready"}
    assert (hall.job(job_id, "attempt"), hall.job(job_id, "crashes")) == (0, 0)


# ── what they may use ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_memory_beyond_the_limit_is_a_failed_attempt_and_the_child_is_not_used_again(hall: Hall) -> None:
    app.settings = app.settings.changed(concurrency=1)
    ids = [hall.enqueue(Greedy()) for _ in range(2)]
    modest = hall.enqueue(Modest())
    await hall.work_off()
    assert [hall.dead(job_id, "error_type") for job_id in ids] == ["MemoryError"] * 2
    assert hall.state(modest) == "completed"
    assert len(set(pids(hall, "greedy"))) == 2


async def test_processor_time_beyond_the_limit_is_a_failed_attempt(hall: Hall) -> None:
    job_id = await hall.run_one(Busy())
    assert hall.dead(job_id, "error_type") == "JobTimeout"
    assert "1 s of processor time" in hall.dead(job_id, "error")


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["exit", "kill", "segfault", "abort", "channel"])
async def test_a_job_that_ends_its_process_is_buried_after_three_crashes(hall: Hall, how: str) -> None:
    app.settings = app.settings.changed(time_scale=50.0)
    job_id = hall.enqueue(Die(how=how))
    beside = [hall.enqueue(Tell(text=str(n))) for n in range(8)]
    async with hall.working():
        await until(lambda: hall.state(job_id) == "dead")
    assert (hall.dead(job_id, "reason"), hall.dead(job_id, "crashes")) == ("crashed", 3)
    assert len(set(pids(hall, "dying"))) == 3
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


@pytest.mark.timeout(180)
async def test_under_random_kills_every_job_has_exactly_one_effect(hall: Hall) -> None:
    app.settings = app.settings.changed(time_scale=100.0, max_crashes=100)
    count, kills = 1000, 0
    jobs = [Effect(number=n, how="async" if n % 2 else "sync") for n in range(count)]
    queue.enqueue_many(hall.conn, jobs, context=CONTEXT)
    async with hall.working():
        while (done := hall.states().count("completed")) < count:
            if kills <= done // 12 and (victims := executors()):
                os.kill(random.choice(victims), signal.SIGKILL)  # noqa: S311 - any of them
                kills += 1
            await asyncio.sleep(0)
    assert sorted(hall.effects()) == sorted(f"effect {n}" for n in range(count))
    assert kills > 50
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
    app.settings = app.settings.changed(child_jobs=1)

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
    assert not any(map(is_alive, pids(hall, "endless")))


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
