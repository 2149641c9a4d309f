"""What the runs are called, and what was reached of the goals."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Goal

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLES = {
    "backlog": "drain, by jobs that stand in line before",
    "later": "drain, by jobs that wait for another day",
    "finished": "drain, by finished rows that are kept",
    "queues": "drain, by queues that others have",
    "tenants": "drain of a fair queue, by organizations",
    "payload": "drain, by bytes of arguments",
    "processes": "drain, by worker processes",
    "enqueuers": "transactions that enqueue one job, by connections; a wake-up after each commit",
    "enqueuers_off": "the same without wake-ups",
    "sources": "from the outbox to done, by servers that jobs are carried from (0: none)",
    "free": "full load, second by second",
    "snapshot": "the same under a snapshot that somebody holds",
    "steady": "steady load",
}
_WITHIN, _HELD, _WOKEN = 0.10, 0.9, 0.95
_TAIL = 0.1  # of the looks are "the end"


def goals(found: dict[str, Any]) -> Iterator[Goal]:
    """Yield what can be told from these runs."""
    for name in ("backlog", "later", "finished", "queues", "tenants"):
        if name in found:
            yield _flat(name, found[name])
    if "processes" in found and len(found["processes"]) > 1:
        first, *others = [rate for _, rate in found["processes"]]
        least = min(others) / first
        yield Goal("P3", TITLES["processes"], "never below one process", f"{least:.2f} x", least >= 1)
    if {"free", "snapshot"} <= found.keys():
        ratio = _end(found["snapshot"]) / _end(found["free"])
        yield Goal(
            "P9", "full load under a held snapshot, at the end", f">= {_HELD} x free", f"{ratio:.2f} x", ratio >= _HELD
        )
    if {"enqueuers", "enqueuers_off"} <= found.keys():
        (most, woken), (_, off) = found["enqueuers"][-1], found["enqueuers_off"][-1]
        ratio = woken / off
        yield Goal(
            "P10", f"{most} enqueuers with wake-ups", f">= {_WOKEN} x without", f"{ratio:.2f} x", ratio >= _WOKEN
        )
    if "steady" in found:
        looks = found["steady"][1:]
        grown = looks[-1]["worker_bytes"] / looks[0]["worker_bytes"]
        yield Goal("P14", "memory of a worker under steady load", "no growth", f"{grown:.2f} x", grown <= 1 + _WITHIN)


def _flat(name: str, points: list[list[float]]) -> Goal:
    """Compare each size with the first one: slower by more than a tenth is a no, faster is none."""
    first = points[0][1]
    least = min(rate for _, rate in points[1:]) / first if len(points) > 1 else 1.0
    what = f"{TITLES[name]}, up to {int(points[-1][0]):,}"
    return Goal("P8", what, f">= {1 - _WITHIN:g} x the first", f"{least:.2f} x", least >= 1 - _WITHIN)


def _end(looks: list[dict[str, float]]) -> float:
    """Return the middle rate of the last looks."""
    return statistics.median(look["jobs_per_second"] for look in looks[-max(int(len(looks) * _TAIL), 3) :])
