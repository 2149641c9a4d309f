"""What is measured of each queue: the same steps, whatever it is."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import servers
from benchmarks.peer import DATABASE, FOLDER, REDIS, VARIANT
from benchmarks.processes import Failed, Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.catalogue import Entrant
    from pgqueue.embedded import EmbeddedServer

_HEAD = 0.1  # of the jobs: what a queue fetched before the start does not count
_LONGEST = 180.0  # seconds for one drain
_WARM = 5  # pings that nobody times
Figures = dict[str, float]


def measure(entrant: Entrant, server: EmbeddedServer) -> tuple[Figures, dict[str, str | int | float]]:
    """Measure one queue once, on a server's empty database; return figures and the queue's settings.

    Raises:
        Failed: it did not work.
        FileNotFoundError: its server is not installed.

    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _place(entrant, server, Path(name)) as environment:
        environment |= {FOLDER: name, VARIANT: entrant.variant}
        with Processes(entrant, Path(name), environment) as processes:
            described = processes.ask("describe")
            processes.ask("prepare")
            steps = _Steps(entrant, processes, described["worker"], described["runners"], environment)
            return steps.all(), described["settings"]


@contextlib.contextmanager
def _place(entrant: Entrant, server: EmbeddedServer, folder: Path) -> Iterator[dict[str, str]]:
    if entrant.server == "redis":
        with servers.redis(folder) as socket:
            yield {REDIS: str(socket)}
    else:
        with servers.empty_database(server) as url:
            yield {DATABASE: url}


class _Steps:
    def __init__(
        self,
        entrant: Entrant,
        processes: Processes,
        worker: list[str],
        runners: int,
        environment: dict[str, str],
    ) -> None:
        self._entrant, self._processes = entrant, processes
        self._worker, self._runners, self._environment = worker, runners, environment

    def all(self) -> Figures:
        """Enqueue, drain by one process, fill again, drain by two, ping."""
        ask, entrant = self._processes.ask, self._entrant
        found: Figures = {}
        singles = 0 if entrant.only_drain else entrant.singles
        if singles:
            found["enqueue_each"] = singles / ask("enqueue_each", singles)
        found["enqueue"] = entrant.jobs / ask("enqueue", entrant.jobs)
        found["drain"] = self._drain(1, entrant.jobs + singles)
        ask("enqueue", entrant.jobs)
        found["drain_two"] = self._drain(2, entrant.jobs)
        if entrant.only_drain:
            del found["enqueue"]
        else:
            found |= self._latency()
        return found

    def _drain(self, count: int, jobs: int) -> float:
        self._processes.ask("make_ready")
        if DATABASE in self._environment:
            servers.analyse(self._environment[DATABASE])
        with self._processes.workers(self._worker, count, gate=True) as workers:
            self._processes.wait_until_begun(count * self._runners, workers)
            counters = [_Counter(path) for path in self._processes.counters()]
            self._processes.open_gate()
            end, began, head = time.monotonic() + _LONGEST, time.monotonic(), 0
            while (run := sum(counter.value for counter in counters)) < jobs:
                if head < jobs * _HEAD:
                    began, head = time.monotonic(), run
                self._processes.check(workers, end)
                time.sleep(0.002)
            if run > jobs:
                raise Failed(f"{run} jobs were run, {jobs} were enqueued")
            while self._processes.ask("remaining"):
                self._processes.check(workers, end)
            return (jobs - head) / (time.monotonic() - began)

    def _latency(self) -> Figures:
        waits = []
        with self._processes.workers(self._worker, 1, gate=False):
            for number in range(1, self._entrant.pings + _WARM + 1):
                began = self._processes.ask("ping", number)
                waits.append(self._processes.hear_ping(number) - began)
                time.sleep(random.uniform(0.01, 0.04))  # noqa: S311 - only so that no timer is met in step
        return {f"latency_p{p}": _percentile(waits[_WARM:], p) * 1000 for p in (50, 95, 99)}


class _Counter:
    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def value(self) -> int:
        """How many jobs that process has run."""
        return int.from_bytes(self._path.read_bytes(), "little")


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]
