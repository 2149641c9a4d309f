"""How many processes serve which group of queues: settings, run-time overrides and loads made into numbers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pgqueue.worker.balance import Pool, evenly, rebalanced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.queries.supervision import Orders
    from pgqueue.setting_tables import QueueSettings, SuperviseSettings
    from pgqueue.settings import Settings
    from pgqueue.worker.child import Report

_CALM = 1.0  # seconds of work that no process is started or moved for
_UNKNOWN = 1.0  # seconds that a job is thought to take while none of its queue has run here
_ENDLESS = 1 << 30


class Paces:
    """How long jobs take here, by queue: recent ones weigh more."""

    def __init__(self) -> None:
        """Nothing has run."""
        self._heard: Mapping[int, Mapping[str, tuple[int, float]]] = {}
        self._mean: dict[str, float] = {}

    def hear(self, totals: Mapping[int, Mapping[str, tuple[int, float]]]) -> None:
        """Learn from the jobs and seconds of every process (by its id) since it started."""
        for pid, by_queue in totals.items():
            before = self._heard.get(pid, {})
            for queue, (jobs, seconds) in by_queue.items():
                jobs_before, seconds_before = before.get(queue, (0, 0.0))
                if jobs > jobs_before:
                    mean = (seconds - seconds_before) / (jobs - jobs_before)
                    self._mean[queue] = 0.7 * self._mean.get(queue, mean) + 0.3 * mean
        self._heard = totals

    def mean(self, queue: str) -> float:
        """Return how many seconds a job of this queue takes."""
        return self._mean.get(queue, _UNKNOWN)


class Plan:
    """The groups, and the next step towards the processes that each should have."""

    def __init__(self, settings: Settings, queues: Mapping[str, QueueSettings]) -> None:
        """``queues``: those that are served here, most important first."""
        self._supervise = supervise = settings.supervise
        self._by_flag = settings.source_of(("supervise", "max_processes")) == "flag"
        self._queues = queues
        if supervise.balance == "off":
            self.groups: list[tuple[str, ...]] = [tuple(queues)]
        else:
            named = supervise.groups if supervise.groups is not None else tuple((name,) for name in queues)
            self.groups = [kept for group in named if (kept := tuple(name for name in group if name in queues))]
        self.pause = supervise.cooldown.total_seconds() if supervise.balance == "auto" else 0.0

    @property
    def strategy(self) -> str:
        """What counts as load."""
        return self._supervise.strategy

    @property
    def least(self) -> int:
        """How many processes every group keeps."""
        return self._supervise.min_processes if self._supervise.balance == "auto" else 1

    def most(self, orders: Orders | None) -> int:
        """Return how many processes this host has at most: flag over run-time override over the rest."""
        floor = len(self.groups) * self.least
        if orders is not None and orders.processes and not self._by_flag:
            return max(orders.processes, floor)
        return max(self._supervise.max_processes or processors(), floor)

    def first(self) -> list[int]:
        """Return how many processes to start with."""
        if self._supervise.balance == "auto":
            return [self.least] * len(self.groups)
        return evenly(self.most(None), len(self.groups))

    def next(self, have: Sequence[int], orders: Orders | None, loads: Sequence[float] | None) -> list[int]:
        """Return how many processes each group should have next. ``loads`` None: not known, so nothing moves."""
        most = self.most(orders)
        if self._supervise.balance != "auto":
            return evenly(most, len(self.groups))
        if loads is None:
            return list(have)
        overrides = orders.workers if orders else {}
        pools = [
            Pool(have[index], loads[index], self._useful(group, overrides)) for index, group in enumerate(self.groups)
        ]
        return rebalanced(pools, least=self.least, most=most)

    def _useful(self, group: Sequence[str], overrides: Mapping[str, int]) -> int:
        """Return how many processes could each run at least one job of these queues at once."""
        limits = [overrides.get(name, self._queues[name].workers) for name in group]
        return sum(_ENDLESS if limit is None else limit for limit in limits)

    def named(self, counts: Sequence[int]) -> dict[str, int]:
        """Return the counts with the names of the queues."""
        return {",".join(group): count for group, count in zip(self.groups, counts, strict=True)}


def loads(
    plan: Plan, paces: Paces, waiting: Mapping[str, int] | None, running: Mapping[str, int]
) -> list[float] | None:
    """Return the load of each group: seconds of work, or jobs; what runs here counts, else it would swing."""
    if waiting is None:
        return None
    found = []
    for group in plan.groups:
        jobs = {name: waiting.get(name, 0) + running.get(name, 0) for name in group}
        if plan.strategy == "size":
            found.append(float(sum(jobs.values())))
        else:
            seconds = sum(count * paces.mean(name) for name, count in jobs.items())
            found.append(seconds if seconds >= _CALM else 0.0)
    return found


def reason_to_replace(supervise: SuperviseSettings, jobs: int, report: Report, age: float) -> str | None:
    """Tell why a process should be replaced, if it should."""
    if report.orders.asked == "restart":
        return "asked"
    if supervise.max_jobs is not None and jobs >= supervise.max_jobs:
        return "jobs"
    if supervise.max_memory_mb is not None and report.memory > supervise.max_memory_mb * 1_048_576:
        return "memory"
    if supervise.max_lifetime is not None and age > supervise.max_lifetime.total_seconds():
        return "lifetime"
    return None


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
