"""Jobs in child processes: what comes back, what ends them, and what they may use."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.worker.children import (
    OUTCOMES,
    Answer,
    Busy,
    Effect,
    Endless,
    Greedy,
    Linger,
    Modest,
    Polite,
    Swallow,
    Tell,
    app,
    queue,
)
from tests.worker.family import is_alive, noted_pids
from tests.worker.harness import CONTEXT, eventually, until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for families and memory"),
]


@pytest.fixture(autouse=True)
def _application(children_app: None) -> None:
    """All tests here serve the application of child processes."""


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
    assert not any(map(is_alive, noted_pids(hall.effects(), "endless")))


async def test_a_task_that_swallows_its_cancellation_is_killed(hall: Hall) -> None:
    job_id = await hall.run_one(Swallow())
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert not any(map(is_alive, noted_pids(hall.effects(), "endless")))


async def test_a_job_may_tidy_up_before_it_is_killed(hall: Hall) -> None:
    job_id = await hall.run_one(Polite())
    assert hall.job(job_id, "errors")[0]["type"] == "JobTimeout"
    assert hall.effects() == ["tidied True"]


async def test_a_cancelled_job_is_killed(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working():
        (pid,) = await until(lambda: noted_pids(hall.effects(), "endless"))
        queue.cancel(hall.conn, job_id)
        await until(lambda: hall.state(job_id) == "cancelled")
        assert not is_alive(pid)


async def test_a_job_whose_lease_is_lost_is_killed(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working():
        (pid,) = await until(lambda: noted_pids(hall.effects(), "endless"))
        hall.conn.execute("UPDATE pgqueue.jobs SET claims = claims + 1")
        await until(lambda: not is_alive(pid))
    assert hall.state(job_id) == "running"  # nothing was settled


async def test_a_job_is_given_back_and_killed_when_its_worker_ends(hall: Hall) -> None:
    job_id = hall.enqueue(Linger())
    async with hall.working() as worker:
        (pid,) = await until(lambda: noted_pids(hall.effects(), "endless"))
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
    assert len(set(noted_pids(hall.effects(), "greedy"))) == 2


async def test_processor_time_beyond_the_limit_is_a_failed_attempt(hall: Hall) -> None:
    job_id = await hall.run_one(Busy())
    assert hall.dead(job_id, "error_type") == "JobTimeout"
    assert "1 s of processor time" in hall.dead(job_id, "error")
