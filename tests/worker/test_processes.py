"""Real worker processes: signals, crashes, outages. What counts is what stands in the database afterwards."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.sql.client import NO_TERM, Relay, claim, ended, enqueue, settle
from tests.worker.harness import CONTEXT, Hall, eventually
from tests.worker.jobs import Crash, Hold, HoldInThread, Note, Overdue, Stubborn, queue
from tests.worker.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

    from pgqueue import Job


@pytest.fixture(autouse=True)
def _application(hall: Hall) -> None:
    hall.queue = queue


def held_by(hall: Hall, count: int = 1) -> int:
    """Wait until so many jobs are held; the process that took the last one."""
    notes = eventually(lambda: len(found := [n for n in hall.effects() if n.startswith("held")]) >= count and found)
    found = re.match(r"held by (\d+)", notes[-1])
    assert found
    return int(found[1])


def leave(hall: Hall) -> None:
    hall.conn.execute("INSERT INTO effects (note) VALUES ('leave')")


def claimed(hall: Hall) -> int:
    row = hall.conn.execute("SELECT count(*) FROM pgqueue.jobs WHERE claimed_by IS NOT NULL").fetchone()
    assert row
    return int(row[0])


def test_until_empty_runs_everything_and_writes_json_where_there_is_no_terminal(hall: Hall, tmp_path: Path) -> None:
    ids = queue.enqueue_many(hall.conn, [Note(text=str(n)) for n in range(20)], context=CONTEXT)
    with Process(tmp_path, hall.url, "--until-empty") as worker:
        assert worker.ends() == 0
    assert hall.states() == ["completed"] * 20
    assert sorted(line["jobId"] for line in worker.events("job.completed")) == sorted(map(str, ids))
    assert all(line.startswith("{") for line in worker.text.splitlines())
    assert hall.conn.execute("SELECT count(*) FROM pgqueue.workers").fetchone() == (0,)


@pytest.mark.parametrize(("kind", "number"), [(Hold, signal.SIGTERM), (HoldInThread, signal.SIGINT)])
def test_a_first_signal_drains(hall: Hall, tmp_path: Path, kind: type[Job], number: signal.Signals) -> None:
    job_id = hall.enqueue(kind())
    with Process(tmp_path, hall.url) as worker:
        held_by(hall)
        worker.popen.send_signal(number)
        eventually(
            lambda: hall.conn.execute("SELECT draining FROM pgqueue.workers").fetchone() == (True,)
        )  # it says so with a heartbeat, while the job goes on
        late = hall.enqueue(Note())
        leave(hall)
        assert worker.ends() == 0
    assert hall.state(job_id) == "completed"
    assert hall.state(late) in {"enqueued", "ready"}
    assert claimed(hall) == 0


@pytest.mark.parametrize("kind", [Hold, HoldInThread, pytest.param(Stubborn, marks=pytest.mark.long)])
def test_a_second_signal_gives_running_jobs_back(hall: Hall, tmp_path: Path, kind: type[Job]) -> None:
    job_id = hall.enqueue(kind())
    with Process(tmp_path, hall.url) as worker:
        held_by(hall)
        worker.terminate()
        eventually(lambda: hall.conn.execute("SELECT draining FROM pgqueue.workers").fetchone() == (True,))
        worker.terminate()
        assert worker.ends() == 1
    assert claimed(hall) == 0
    assert hall.state(job_id) in {"waiting", "ready"}
    assert hall.job(job_id, "attempt") == 0
    assert hall.job(job_id, "errors") == []


def test_a_signal_during_the_start_ends_it(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Note())
    with Process(tmp_path, hall.url, TEST_SLOW_START="1") as worker:
        eventually(lambda: "starting" in hall.effects())
        worker.terminate()
        leave(hall)
        assert worker.ends() == 0
    assert claimed(hall) == 0
    assert hall.state(job_id) in {"enqueued", "ready"}


def test_a_job_of_a_killed_worker_is_run_by_another_after_its_lease(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Hold())
    with Process(tmp_path, hall.url) as first, Process(tmp_path, hall.url) as second:
        victim, other = first, second
        if held_by(hall) == second.popen.pid:
            victim, other = second, first
        victim.popen.kill()
        held_by(hall, 2)
        leave(hall)
        eventually(lambda: hall.state(job_id) == "completed")
        rescued = other.says("job.rescued")
    assert [n.split(" attempt ")[1] for n in hall.effects() if n.startswith("held")] == ["1 claim 1", "1 claim 2"]
    assert hall.effects().count("left") == 1
    assert (rescued[0]["jobId"], rescued[0]["crashes"]) == (str(job_id), 1)


def test_a_thread_that_never_ends_does_not_keep_a_drained_process(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Overdue())
    with Process(tmp_path, hall.url) as worker:
        eventually(lambda: hall.state(job_id) == "dead")
        worker.terminate()
        assert worker.ends() == 0


def test_a_worker_goes_on_after_all_its_connections_were_cut(hall: Hall, tmp_path: Path) -> None:
    with Process(tmp_path, hall.url) as worker:
        worker.says("worker.ready")
        held = hall.enqueue(Hold())
        held_by(hall)
        for _ in range(2):
            hall.conn.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()"""
            )
        after = hall.enqueue(Note(text="after"))
        leave(hall)
        eventually(lambda: hall.state(after) == "completed")
        eventually(lambda: hall.state(held) in {"completed", "waiting"})
        assert worker.popen.poll() is None


def test_a_poison_job_is_buried_after_three_crashes_and_the_others_run(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Crash())
    short = {"PGQUEUE_LEASE": "800ms", "PGQUEUE_HEARTBEAT": "200ms"}
    with Process(tmp_path, hall.url, "--processes", "2", "--time-scale", "100", **short) as worker:
        eventually(lambda: hall.state(job_id) == "dead", patience=40)
        after = hall.enqueue(Note(text="after"))
        eventually(lambda: hall.state(after) == "completed")
        worker.terminate()
        assert worker.ends() == 0
    assert hall.dead(job_id, "reason") == "crashed"
    assert len([n for n in hall.effects() if n.startswith("crashing")]) == 3
    assert "buried crashed" in hall.effects()
    assert len(worker.events("process.died")) == 1  # the second and the third time it was alone in a child
    assert len(worker.events("job.crashed")) == 1


def test_a_supervisor_restarts_a_process_that_was_killed_and_passes_signals_on(hall: Hall, tmp_path: Path) -> None:
    with Process(tmp_path, hall.url, "--processes", "2") as supervisor:
        supervisor.says("worker.ready", 2)
        pids = {row[0] for row in hall.conn.execute("SELECT pid FROM pgqueue.workers")}
        assert supervisor.popen.pid not in pids
        os.kill(min(pids), signal.SIGKILL)
        (died,) = supervisor.says("process.died")
        assert died["pid"] == min(pids)
        supervisor.says("worker.ready", 3)
        job_id = hall.enqueue(Note())
        eventually(lambda: hall.state(job_id) == "completed")
        supervisor.terminate()
        assert supervisor.ends() == 0


def test_one_ctrl_c_on_a_terminal_is_one_signal_for_every_process(hall: Hall, tmp_path: Path) -> None:
    job_id = hall.enqueue(Hold())
    with Process(tmp_path, hall.url, "--processes", "2") as supervisor:
        held_by(hall)
        supervisor.press_ctrl_c()
        eventually(lambda: hall.conn.execute("SELECT bool_and(draining) FROM pgqueue.workers").fetchone() == (True,))
        leave(hall)
        assert supervisor.ends() == 0
    assert hall.state(job_id) == "completed"


def test_until_empty_ends_every_process(hall: Hall, tmp_path: Path) -> None:
    queue.enqueue_many(hall.conn, [Note(text=str(n)) for n in range(30)], context=CONTEXT)
    with Process(tmp_path, hall.url, "--processes", "2", "--until-empty") as supervisor:
        assert supervisor.ends() == 0
    assert hall.states() == ["completed"] * 30


# ── start ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_database_that_cannot_be_reached_is_waited_for_and_said(hall: Hall, server: str, tmp_path: Path) -> None:
    job_id = hall.enqueue(Note())
    doors = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(hall.conn.info.dbname)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(doors.format(name, sql.SQL("false")))
        try:
            with Process(tmp_path, hall.url) as worker:
                (told, *_) = worker.says("database.unavailable")
                assert "PGQUEUE_DATABASE_URL" in told["error"]
                admin.execute(doors.format(name, sql.SQL("true")))
                eventually(lambda: hall.state(job_id) == "completed")
        finally:
            admin.execute(doors.format(name, sql.SQL("true")))


def test_waiting_for_a_database_ends_with_a_signal(tmp_path: Path) -> None:
    with Process(tmp_path, "postgresql://nobody@127.0.0.1:1/none") as worker:
        worker.says("database.unavailable")
        worker.terminate()
        assert worker.ends() == 0


def test_a_database_without_tables_is_told_what_to_do(empty_database_url: str, tmp_path: Path) -> None:
    for words in ([], ["--processes", "2"]):
        with Process(tmp_path, empty_database_url, *words) as worker:
            assert worker.ends() == 3
        assert "pgqueue migrate" in worker.text
        assert "Traceback" not in worker.text


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("processes", [1, 2])
def test_metrics_of_all_processes_are_served_on_one_port(hall: Hall, tmp_path: Path, processes: int) -> None:
    port = free_port()
    dead_letter(hall)
    hall.conn.execute(UNWELL)
    with Process(tmp_path, hall.url, "--processes", str(processes), "--metrics-port", str(port)) as worker:
        worker.says("worker.ready", processes)
        ids = queue.enqueue_many(hall.conn, [Note(text=str(n)) for n in range(30)], context=CONTEXT)
        eventually(lambda: hall.states().count("completed") == len(ids))
        text = eventually(lambda: 'status="success"} 30.0' in (found := scraped(port)) and found)
    assert 'job_attempts_total{job="Note",queue="default",status="success"} 30.0' in text
    assert 'job_processing_duration_seconds_count{job="Note",queue="default"} 30.0' in text
    assert 'job_queue_wait_seconds_count{job="Note",queue="default"} 30.0' in text
    # sampled by one process, never a sum
    assert 'jobs_in_dlq_total{job="Gone",queue="default"} 1.0' in text
    assert 'pgqueue_breaker_state{dependency="payments",host="host"} 2.0' in text
    assert 'pgqueue_alerts_raised{rule="open_breaker"} 1.0' in text
    assert 'pgqueue_schedule_overdue_seconds{schedule="nightly"}' in text
    # counted by the one process that moved the entry on
    (missed,) = hall.conn.execute("SELECT missed_runs FROM pgqueue.schedules").fetchall()[0]
    assert missed > 0
    assert f'pgqueue_schedule_missed_ticks_total{{schedule="nightly"}} {float(missed)}' in text


UNWELL = """
WITH breaker AS (
  INSERT INTO pgqueue.breakers (dependency, host, state, failures, opened_at)
  VALUES ('payments', 'host', 'open', 5, pgqueue.clock() - interval '5 minutes')
), alert AS (
  INSERT INTO pgqueue.alerts (rule, subject, version, streak, value, raised_at)
  VALUES ('open_breaker', 'breaker payments host', 1, 0, 300, pgqueue.clock())
)
INSERT INTO pgqueue.schedules (name, kind, queue, every, organization_id, user_id, missed, next_run_at)
VALUES ('nightly', 'Note', 'default', '2 hours', 'acme', 'ann', 'skip', pgqueue.clock() - interval '5 hours')
"""


def dead_letter(hall: Hall) -> None:
    enqueue(hall.conn, kind="Gone")
    Relay(hall.conn, term=NO_TERM).tick()
    (job,) = claim(hall.conn)
    assert settle(hall.conn, ended(job, "bury")) == set()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())
