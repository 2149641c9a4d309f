"""Faults of whole processes, told by what stands in the database and which processes are left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.worker.children import PATH, Block, DiesAtItsGrave, Linger, Neighbour, Poison, Quick, Rest, Tell, app, queue
from tests.worker.family import executors, is_alive, templates
from tests.worker.harness import CONTEXT, Hall, eventually
from tests.worker.jobs import Hold
from tests.worker.jobs import queue as plain_queue
from tests.worker.processes import ROOT, Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for families")


@pytest.fixture(autouse=True)
def _application(hall: Hall) -> None:
    hall.queue, hall.app = queue, app


def noted(hall: Hall, word: str) -> bool:
    return any(note.startswith(word) for note in hall.effects())


def workers(hall: Hall) -> list[int]:
    return [row[0] for row in hall.conn.execute("SELECT pid FROM pgqueue.workers")]


# ── poison ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["exit", "segfault"])
def test_poison_takes_a_worker_down_once_and_its_neighbours_lose_nothing(hall: Hall, tmp_path: Path, how: str) -> None:
    neighbours = [hall.enqueue(Neighbour()) for _ in range(3)]
    poison = hall.enqueue(Poison(how=how))
    with Process(tmp_path, hall.url, "--processes", "2", "--time-scale", "50", app=PATH) as supervisor:
        eventually(lambda: hall.state(poison) == "dead", patience=40)
        eventually(lambda: [hall.state(each) for each in neighbours] == ["completed"] * 3, patience=40)
        supervisor.terminate()
        assert supervisor.ends() == 0
    assert (hall.dead(poison, "reason"), hall.dead(poison, "crashes")) == ("crashed", 3)
    assert hall.effects().count("buried crashed") == 1
    assert len(supervisor.events("process.died")) == 1
    assert {hall.job(each, "attempt") for each in neighbours} == {1}  # the one that completed it, of one


@pytest.mark.long
def test_an_on_dead_that_ends_its_worker_is_called_twice_and_the_job_is_buried_without_it(
    hall: Hall, tmp_path: Path
) -> None:
    job_id = hall.enqueue(DiesAtItsGrave())
    with Process(tmp_path, hall.url, "--processes", "2", "--time-scale", "50", app=PATH) as supervisor:
        eventually(lambda: hall.state(job_id) == "dead", patience=50)
        supervisor.terminate()
        assert supervisor.ends() == 0
    assert len(supervisor.events("process.died")) == 2
    assert (hall.dead(job_id, "reason"), hall.dead(job_id, "crashes")) == ("crashed", 4)
    assert supervisor.events("job.on_dead_skipped")


# ── nobody outlives his parent ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
def test_children_of_a_killed_worker_are_gone_and_their_job_is_rescued(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Linger())
    with Process(tmp_path, hall.url, app=PATH) as worker:
        eventually(lambda: noted(hall, "endless"))
        family = templates(worker.popen.pid) + executors(worker.popen.pid)
        assert len(family) == 2
        worker.popen.kill()
        worker.ends()
        eventually(lambda: not any(map(is_alive, family)))
        assert hall.state(job_id) == "running"
    with Process(tmp_path, hall.url, app=PATH) as other:
        eventually(lambda: hall.claims(job_id) == 2)
        assert other.says("job.rescued")[0]["jobId"] == str(job_id)


def test_workers_of_a_killed_supervisor_drain_end_and_leave_nothing(hall: Hall, tmp_path: Path) -> None:
    hall.queue = plain_queue
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    job_id = hall.enqueue(Hold())
    with Process(tmp_path, hall.url, "--processes", "2", TMPDIR=str(temporary)) as supervisor:
        supervisor.says("worker.ready", 2)
        pids = workers(hall)
        eventually(lambda: noted(hall, "held"))
        assert list(temporary.iterdir()) != []
        supervisor.popen.kill()
        supervisor.ends()
        hall.conn.execute("INSERT INTO effects (note) VALUES ('leave')")
        eventually(lambda: not any(map(is_alive, pids)))
    assert hall.state(job_id) == "completed"
    assert workers(hall) == []
    assert list(temporary.iterdir()) == []


# ── the event loop ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
def test_a_job_that_blocks_the_loop_is_named_and_its_neighbours_are_given_back(hall: Hall, tmp_path: Path) -> None:
    rest = hall.enqueue(Rest())
    with Process(tmp_path, hall.url, app=PATH) as worker:
        eventually(lambda: noted(hall, "resting"))
        job_id = hall.enqueue(Block())
        assert worker.ends() == 1
        (blocked,) = worker.events("loop.blocked")
        assert blocked["jobId"] == str(job_id)
        assert "in run" in blocked["stack"]
        assert worker.events("worker.recycling")
    assert hall.state(rest) in {"waiting", "ready"}
    assert (hall.job(rest, "attempt"), hall.job(rest, "crashes")) == (0, 0)
    assert (hall.job(job_id, "attempt"), hall.job(job_id, "crashes")) == (0, 1)
    assert hall.job(job_id, "errors")[0]["type"] == "LoopBlocked"
    with Process(tmp_path, hall.url, app=PATH):
        eventually(lambda: hall.state(job_id) == "dead")  # alone in a child, and killed at its timeout
    assert (hall.dead(job_id, "reason"), hall.dead(job_id, "error_type")) == ("attempts", "JobTimeout")


@pytest.mark.long
def test_code_that_holds_the_interpreter_cannot_keep_the_process(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Block(gil=True))
    program = f"""
import pgqueue.worker.guard as guard
guard._NOBODY = 2.0
from pgqueue.worker import run
raise SystemExit(run({PATH!r}))
"""
    log = tmp_path / "log"
    environment = os.environ | {"PGQUEUE_DATABASE_URL": hall.url}
    with log.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, stderr=stream, timeout=50, check=False
        )
    assert done.returncode == 1
    assert "in run" in log.read_text("utf-8")
    with Process(tmp_path, hall.url, app=PATH):
        eventually(lambda: hall.state(job_id) == "dead")
    assert hall.dead(job_id, "error_type") == "JobTimeout"


# ── a reader that does not read ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unread(hall: Hall) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PGQUEUE_DATABASE_URL": hall.url}
    command = [sys.executable, "-m", "pgqueue", "work", "--app", PATH]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        yield worker
        worker.kill()


def test_a_full_pipe_stops_no_job_and_what_was_dropped_is_counted(hall: Hall, unread: subprocess.Popen[str]) -> None:
    count = 10_000
    queue.enqueue_many(hall.conn, [Quick() for _ in range(count)], context=CONTEXT)
    eventually(lambda: hall.states().count("completed") == count, patience=40)
    last = hall.enqueue(Tell(text="last"))
    eventually(lambda: hall.state(last) == "completed")
    assert unread.stderr
    lines, dropped = 0, 0
    unread.terminate()
    for line in unread.stderr:
        event = json.loads(line)
        if event["event"] in {"job.started", "job.completed"} and event["jobClass"] == "Quick":
            lines += 1
        if event["event"] == "logs.dropped":
            dropped += event["lines"]
    assert unread.wait(20) == 0
    assert dropped > 0
    assert 2 * count <= lines + dropped <= 2 * count + 10
