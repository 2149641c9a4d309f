"""`pgqueue supervise` with real processes: kills, balance, limits, replacing. Seen in the database."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.worker.harness import eventually
from tests.worker.hosts import enqueue, lost_nothing
from tests.worker.supervised import Busy, BusyToo, Quick

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worker.hosts import Host


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


def test_a_supervisor_ends_with_whoever_holds_its_lifeline(host: Host) -> None:
    host.write("[supervise]\nmax_processes = 1")
    reading, writing = os.pipe()
    with host.supervisor(PGQUEUE_LIFELINE=str(reading)) as supervisor:
        eventually(lambda: host.serving() == {"a": 1, "b": 1})
        os.close(writing)
        assert supervisor.ends() == 0
    os.close(reading)


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


@pytest.mark.long
@pytest.mark.timeout(120)  # it starts a dozen processes, one after the other
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
        busy_until(lambda: len(supervisor.events("process.replaced")) >= 1)
        host.say("workers", "restart")
        enqueue(host, BusyToo(), 8)
        busy_until(lambda: host.serving().get("b", 0) >= 2)
        host.let_go("b")
        busy_until(lambda: len(supervisor.events("process.replaced")) >= 3)
        eventually(lambda: set(host.hall.states()) == {"completed"})
    assert host.at_once() == 3
    lost_nothing(host)


@pytest.mark.long
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


def test_until_empty_ends_balanced_processes(host: Host) -> None:
    host.write("[supervise]\nbalance = 'auto'\nmax_processes = 3\ncooldown = '100ms'")
    enqueue(host, Quick(), 30)
    with host.supervisor("--until-empty") as supervisor:
        assert supervisor.ends() == 0
    lost_nothing(host)
