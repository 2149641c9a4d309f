"""Steering real processes while they run: scale, restart, drain, reload. Seen in the database."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from pgqueue.cli import main
from tests.sql.client import scalar
from tests.worker.harness import eventually
from tests.worker.hosts import enqueue, lost_nothing
from tests.worker.supervised import Busy, Quick

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.hosts import Host


def test_a_restart_is_rolling_and_gives_nothing_back(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 2")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 2, "b": 2})
        before = host.pids()
        enqueue(host, Busy(), 5)
        eventually(lambda: host.busy() == 5)
        host.say("workers", "restart")
        supervisor.says("process.replaced", 2)
        enqueue(host, Quick(), 5)
        eventually(lambda: host.hall.states().count("completed") == 5)
        host.let_go("a")
        eventually(lambda: not before & host.pids())
        eventually(lambda: len(host.pids()) == 2)
        assert supervisor.events("process.died") == []
    lost_nothing(host)


def test_what_cannot_start_replaces_nobody(host: Host, tmp_path: Path) -> None:
    host.write("[supervise]\nmax_processes = 2")
    broken = tmp_path / "broken"
    with host.supervisor(TEST_BROKEN=str(broken)) as supervisor:
        eventually(lambda: host.serving() == {"a": 2, "b": 2})
        before = host.pids()
        broken.touch()
        host.say("workers", "restart")
        (aborted,) = supervisor.says("replace.aborted")
        assert aborted["code"] == 2
        enqueue(host, Quick(), 5)
        eventually(lambda: host.hall.states() == ["completed"] * 5)
        assert host.pids() == before


@pytest.mark.parametrize("kind", ["supervised", "single"])
def test_a_queue_is_scaled_while_workers_run(host: Host, kind: str) -> None:
    host.write("[queues.a]\nworkers = 1\n[supervise]\nmax_processes = 2")
    with host.supervisor() if kind == "supervised" else host.single() as process:
        enqueue(host, Busy(), 6)
        eventually(lambda: host.busy() == 1)
        host.say("queues", "scale", "a", "3")
        eventually(lambda: host.busy() == 3)
        host.say("queues", "scale", "a", "2")
        host.let_go("a")
        eventually(lambda: host.hall.states() == ["completed"] * 6)
        assert process.events("process.died") == []
    lost_nothing(host)


def test_an_override_holds_from_the_start_on(host: Host) -> None:
    host.write("[queues.a]\nworkers = 4\n[supervise]\nmax_processes = 2")
    host.conn.execute("SELECT pgqueue.add_queue('a')")
    host.say("queues", "scale", "a", "1")
    with host.supervisor():
        enqueue(host, Quick(), 20)
        eventually(lambda: host.hall.states() == ["completed"] * 20)
    assert host.at_once() == 1


def test_processes_are_scaled_while_they_run(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 1")
    with host.supervisor() as supervisor:
        eventually(lambda: len(host.pids()) == 1)
        host.say("workers", "scale", "3")
        eventually(lambda: host.serving() == {"a": 3, "b": 3})
        assert main(["workers", "scale", "--reset", "--database-url", host.hall.url]) == 0
        eventually(lambda: len(host.pids()) == 1)
        assert supervisor.events("process.died") == []


@pytest.mark.parametrize("kind", ["supervised", "single"])
def test_a_worker_that_drains_starts_nothing_more_and_stays(host: Host, kind: str) -> None:
    host.write("[queues.a]\nworkers = 2\n[supervise]\nmax_processes = 1")
    with host.supervisor() if kind == "supervised" else host.single() as process:
        enqueue(host, Busy(), 1)
        eventually(lambda: host.busy() == 1)
        worker = str(scalar(host.conn, "SELECT id FROM pgqueue.workers"))
        host.say("workers", "drain", worker[:13])
        eventually(lambda: scalar(host.conn, "SELECT draining AND queues = '{}' FROM pgqueue.workers"))
        enqueue(host, Quick(), 3)
        host.let_go("a")
        eventually(lambda: host.hall.states().count("completed") == 1)
        eventually(lambda: host.hall.states().count("ready") == 3)
        assert process.popen.poll() is None
        host.say("workers", "restart")
        if kind == "single":  # what started it starts it again
            assert process.ends() == 0
        else:
            eventually(lambda: host.hall.states() == ["completed"] * 4)


def test_a_faulty_file_changes_nothing_and_a_good_one_replaces_the_processes(host: Host) -> None:
    host.write("[queues.a]\nworkers = 1\n[supervise]\nmax_processes = 1")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 1, "b": 1})
        before = host.pids()
        host.write("[queues.a]\nworkers = 0\nworker = 2\n[supervise]\nbalance = 'always'")
        supervisor.popen.send_signal(signal.SIGHUP)
        (refused,) = supervisor.says("configuration.refused")
        assert all(word in refused["error"] for word in ("3 fault", "workers", "worker", "balance", str(host.file)))
        assert host.pids() == before
        enqueue(host, Busy(), 5)
        eventually(lambda: host.busy() == 1)
        host.write("[queues.a]\nworkers = 3\n[supervise]\nmax_processes = 2")
        supervisor.popen.send_signal(signal.SIGHUP)
        supervisor.says("process.replaced")
        eventually(lambda: host.busy() == 3)
        eventually(lambda: len(host.pids() - before) == 2)
        host.let_go("a")
        eventually(lambda: host.hall.states() == ["completed"] * 5)
        eventually(lambda: not host.pids() & before)
    lost_nothing(host)


def test_a_queue_that_the_application_needs_cannot_be_taken_away(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 1")
    with host.supervisor() as supervisor:
        eventually(lambda: len(host.pids()) == 1)
        host.write("[supervise]\nbalance = 'simple'\ngroups = [['a']]")
        supervisor.popen.send_signal(signal.SIGHUP)
        (refused,) = supervisor.says("configuration.refused")
        assert "no group serves b" in refused["error"]


def test_a_file_without_a_queue_that_the_command_line_names_is_refused_and_a_later_one_taken(host: Host) -> None:
    host.write("[queues.c]\n[supervise]\nmax_processes = 1")
    with host.supervisor("--queues", "a,c") as supervisor:
        eventually(lambda: host.serving() == {"a": 1, "c": 1})
        host.write("[supervise]\nmax_processes = 2")
        supervisor.popen.send_signal(signal.SIGHUP)
        (refused,) = supervisor.says("configuration.refused")
        assert "unknown queue 'c'" in refused["error"]
        host.write("[queues.c]\n[supervise]\nmax_processes = 2")
        supervisor.popen.send_signal(signal.SIGHUP)
        eventually(lambda: host.serving() == {"a": 2, "c": 2})


def test_a_second_signal_gives_jobs_back_under_a_supervisor(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 2")
    with host.supervisor() as supervisor:
        enqueue(host, Busy(), 2)
        eventually(lambda: host.busy() == 2)
        supervisor.terminate()
        eventually(lambda: scalar(host.conn, "SELECT bool_and(draining) FROM pgqueue.workers"))
        supervisor.terminate()
        assert supervisor.ends() == 1
    assert host.running("a") == 0


def test_a_signal_in_the_middle_of_a_restart_ends_every_process(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 2")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 2, "b": 2})
        enqueue(host, Busy(), 4)
        eventually(lambda: host.busy() == 4)
        host.say("workers", "restart")
        supervisor.says("process.replaced")  # one drains, one is next
        supervisor.terminate()
        eventually(lambda: scalar(host.conn, "SELECT bool_and(draining) FROM pgqueue.workers"))
        host.let_go("a")
        assert supervisor.ends() == 0
    assert host.pids() == set()
    lost_nothing(host)
