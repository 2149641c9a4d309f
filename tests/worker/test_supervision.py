"""`pgqueue supervise` with real processes; what they do is seen in the database."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue.cli import main
from tests.sql.client import column, scalar
from tests.worker.harness import CONTEXT, Hall, eventually
from tests.worker.processes import Process
from tests.worker.supervised import Busy, BusyToo, Quick, queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Supervised(Process):
    command = ("supervise", "--app", "tests.worker.supervised:app")


class Single(Process):
    command = ("work", "--app", "tests.worker.supervised:app")


class Host:
    """A configuration file, and what is seen of the processes that follow it."""

    def __init__(self, hall: Hall, folder: Path) -> None:
        self.hall = hall
        self.conn = hall.conn
        self.file = folder / "pgqueue.toml"
        self.logs = folder / "logs"
        self.logs.mkdir()

    def write(self, text: str) -> None:
        self.file.write_text(text, "utf-8")

    def supervisor(self, *words: str, **environment: str) -> Supervised:
        return Supervised(self.logs, self.hall.url, *words, PGQUEUE_CONFIG=str(self.file), **environment)

    def single(self) -> Single:
        return Single(self.logs, self.hall.url, PGQUEUE_CONFIG=str(self.file))

    def say(self, *words: str) -> None:
        assert main([*words, "--database-url", self.hall.url, "--by", "ann"]) == 0

    def pids(self) -> set[int]:
        return set(column(self.conn, "SELECT pid FROM pgqueue.workers"))

    def serving(self) -> dict[str, int]:
        """How many processes serve each queue."""
        rows = self.conn.execute("SELECT q, count(*) FROM pgqueue.workers, unnest(queues) AS q GROUP BY q").fetchall()
        return dict(rows)

    def running(self, name: str) -> int:
        return int(
            scalar(self.conn, "SELECT count(*) FROM pgqueue.jobs WHERE queue = %s AND claimed_by IS NOT NULL", name)
        )

    def busy(self) -> int:
        return sum(note.startswith("busy") for note in self.hall.effects())

    def let_go(self, name: str) -> None:
        self.conn.execute("INSERT INTO effects (note) VALUES (%s)", [f"leave {name}"])

    def at_once(self) -> int:
        """The most jobs that ran at once."""
        most = now = 0
        for note in self.hall.effects():
            now += {"+": 1, "-": -1}.get(note[0], 0)
            most = max(most, now)
        return most


@pytest.fixture
def host(hall: Hall, tmp_path: Path) -> Host:
    hall.queue = queue
    return Host(hall, tmp_path)


def enqueue(host: Host, job: Any, count: int) -> list[int]:
    return queue.enqueue_many(host.conn, [job] * count, context=CONTEXT)


def lost_nothing(host: Host) -> None:
    """Every job ended well, was started once, and spent one attempt (one that was not started may be claimed again)."""
    assert set(host.hall.states()) == {"completed"}
    started = [note for note in host.hall.effects() if note.startswith(("+", "busy"))]
    assert all("attempt 1 claim" in note for note in started)
    assert len(started) == len(host.hall.states())


def test_a_supervised_pool_survives_kills(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 2")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 2, "b": 2})
        victims = host.pids()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        supervisor.says("process.died", 2)
        eventually(lambda: len(host.pids() - victims) == 2)
        enqueue(host, Quick(), 5)
        eventually(lambda: host.hall.states() == ["completed"] * 5)
        supervisor.terminate()
        assert supervisor.ends() == 0
    assert host.pids() <= victims  # theirs are pruned later


def test_processes_are_divided_evenly(host: Host) -> None:
    host.write("[supervise]\nbalance = 'simple'\nmax_processes = 3")
    with host.supervisor():
        eventually(lambda: host.serving() == {"a": 2, "b": 1})


def test_processes_move_to_the_loaded_queue_and_back(host: Host) -> None:
    host.write("[supervise]\nbalance = 'auto'\nstrategy = 'size'\nmax_processes = 3\ncooldown = '100ms'")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 1, "b": 1})
        enqueue(host, Busy(), 20)
        eventually(lambda: host.serving() == {"a": 2, "b": 1})
        eventually(lambda: host.running("a") == 8)
        host.let_go("a")
        enqueue(host, BusyToo(), 20)
        eventually(lambda: host.serving() == {"a": 1, "b": 2})
        host.let_go("b")
        eventually(lambda: host.hall.states() == ["completed"] * 40)
        eventually(lambda: host.serving() == {"a": 1, "b": 1})
        assert supervisor.events("process.died") == []
    lost_nothing(host)


def test_the_limit_of_a_host_holds_while_processes_move_restart_and_are_replaced(host: Host) -> None:
    host.write(
        "[queues.a]\nworkers = 3\n"
        "[supervise]\nbalance = 'auto'\nstrategy = 'size'\nmax_processes = 4\ncooldown = '100ms'\nmax_jobs = 40"
    )

    def busy_until(condition: Callable[[], object]) -> None:
        """Keep the queue long enough that its limit is used up."""

        def look() -> object:
            if host.hall.states().count("completed") > len(host.hall.states()) - 20:
                enqueue(host, Quick(seconds=0.03), 40)
            return condition()

        eventually(look, patience=40)

    with host.supervisor() as supervisor:
        busy_until(lambda: host.serving().get("a", 0) == 3)
        busy_until(lambda: len(supervisor.events("process.replaced")) >= 2)
        host.say("workers", "restart")
        enqueue(host, BusyToo(), 8)
        busy_until(lambda: host.serving().get("b", 0) >= 2)
        host.let_go("b")
        busy_until(lambda: len(supervisor.events("process.replaced")) >= 5)
        eventually(lambda: set(host.hall.states()) == {"completed"})
    assert host.at_once() == 3
    lost_nothing(host)


def test_a_process_that_ran_its_number_of_jobs_is_replaced_and_nothing_is_lost(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 1\nmax_jobs = 10")
    with host.supervisor() as supervisor:
        enqueue(host, Quick(seconds=0.1), 150)
        replaced = supervisor.says("process.replaced", 2)
        eventually(lambda: host.hall.states() == ["completed"] * 150)
    assert {(one["reason"], one["jobs"] >= 10) for one in replaced} == {("jobs", True)}
    lost_nothing(host)


def test_a_process_that_holds_too_much_memory_is_replaced_and_nothing_is_lost(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 1\nmax_memory_mb = 300")
    with host.supervisor() as supervisor:
        eventually(lambda: host.serving() == {"a": 1, "b": 1})
        (before,) = host.pids()
        enqueue(host, Busy(), 1)
        enqueue(host, Quick(megabytes=300), 1)
        (replaced, *_) = supervisor.says("process.replaced")
        assert (replaced["pid"], replaced["reason"]) == (before, "memory")
        enqueue(host, Quick(), 5)
        eventually(lambda: host.hall.states().count("completed") == 6)
        assert before in host.pids()  # it lets its last job end
        host.let_go("a")
        eventually(lambda: before not in host.pids())
        eventually(lambda: host.hall.states() == ["completed"] * 7)
    lost_nothing(host)


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


def test_until_empty_ends_balanced_processes(host: Host) -> None:
    host.write("[supervise]\nbalance = 'auto'\nmax_processes = 3\ncooldown = '100ms'")
    enqueue(host, Quick(), 30)
    with host.supervisor("--until-empty") as supervisor:
        assert supervisor.ends() == 0
    lost_nothing(host)
