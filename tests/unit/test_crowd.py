"""When a process that died is started again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import structlog

from pgqueue.worker.crowd import Crowd

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Killed:
    """A process that ended so many jobs and was killed then."""

    jobs: int
    age: float = 0.0
    code: int = -9
    is_ready: bool = True
    started: float = field(init=False)
    process: Any = field(default_factory=lambda: SimpleNamespace(pid=1))

    def __post_init__(self) -> None:
        self.started = time.monotonic() - self.age

    def listen(self) -> None:
        """Nothing."""

    def signal(self) -> None:
        """Too late."""

    def retire(self) -> None:
        """Too late."""

    def poll(self) -> int:
        return self.code


def waits(lives: Sequence[Killed]) -> list[float]:
    """How long is waited after each of these lives, one after the other in one seat."""
    left: list[Any] = list(lives)
    with structlog.testing.capture_logs() as logs:
        crowd = Crowd(lambda: left.pop(0), may_end=False)
        crowd.add(0)
        while left:
            crowd.tick()
            crowd.seats[0].start_at = 0.0  # the wait itself is not what is looked at
        crowd.tick()
    return [line["restartInSeconds"] for line in logs if line["event"] == "process.died"]


def test_a_process_that_never_comes_to_a_job_waits_longer_each_time_up_to_half_a_minute() -> None:
    assert waits([Killed(jobs=0)] * 10) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_one_that_ended_jobs_is_back_at_once_however_often_it_is_killed() -> None:
    assert waits([Killed(jobs=7)] * 9) == [0.2] * 9


def test_work_and_a_long_life_make_earlier_deaths_forgotten() -> None:
    idle, busy, old = Killed(jobs=0), Killed(jobs=1), Killed(jobs=0, age=11)
    assert waits([idle, idle, busy, idle, idle, old, idle]) == [0.2, 0.4, 0.2, 0.4, 0.8, 0.2, 0.4]


def test_one_that_ends_without_a_word_waits_like_one_that_was_killed() -> None:
    assert waits([Killed(jobs=0, code=0)] * 3) == [0.2, 0.4, 0.8]


def test_who_is_told_to_stop_waits_for_no_process_that_is_not_there() -> None:
    processes: list[Any] = [Killed(jobs=0), Killed(jobs=0)]
    crowd = Crowd(processes.pop, may_end=False)
    crowd.add(0)
    crowd.add(0)
    with structlog.testing.capture_logs():
        crowd.tick()
    crowd.seats[1].successor = cast("Any", Killed(jobs=0, code=0))  # it replaced the one that died
    crowd.signal()
    crowd.tick()
    assert (crowd.seats, crowd.leaving, crowd.worst) == ([], [], 0)
