"""From the figures of all rounds to the table's rows and to what was reached of the goals."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.catalogue import GRAPHILE, LOGS, OURS, RAW

MEASURES = {
    "drain": "drain, 1 process, jobs/s",
    "drain_two": "drain, 2 processes, jobs/s",
    "enqueue_each": "enqueue, 1 per transaction, jobs/s",
    "enqueue": "enqueue in bulk, jobs/s",
    "latency_p50": "idle: enqueue to start, p50 ms",
    "latency_p95": "idle: enqueue to start, p95 ms",
    "latency_p99": "idle: enqueue to start, p99 ms",
}
Rounds = dict[str, list[dict[str, float]]]
"""What each queue reached, round by round."""


@dataclass(frozen=True)
class Row:
    """One measure of one queue over all rounds."""

    queue: str
    measure: str
    median: float
    least: float
    most: float
    ratio: float | None
    """Of its median to ours."""


@dataclass(frozen=True)
class Goal:
    """What was aimed at, and what was reached; ``met`` is None where one side was not measured."""

    code: str
    what: str
    goal: str
    reached: str
    met: bool | None

    def as_json(self) -> dict[str, Any]:
        """Return it for a results file."""
        return asdict(self)

    def line(self, *, scaled: bool) -> str:
        """Return it as a line of text."""
        verdict = {True: "yes", False: "no", None: "not measured"}[self.met]
        return f"{self.code} {self.what} goal {self.goal} reached {self.reached} {verdict}{scaled * ' (scaled)'}"


def rows(rounds: Rounds) -> list[Row]:
    """Return one row for each measure and queue, the best first."""
    found = []
    for measure in MEASURES:
        ours = median(rounds, OURS, measure)
        several = {queue: [f[measure] for f in all_of if measure in f] for queue, all_of in rounds.items()}
        of_measure = [
            Row(queue, measure, middle, min(values), max(values), middle / ours if ours else None)
            for queue, values in several.items()
            if values and (middle := statistics.median(values)) is not None
        ]
        found += sorted(of_measure, key=lambda row: row.median, reverse=not measure.startswith("latency"))
    return found


def median(rounds: Rounds, queue: str, measure: str) -> float | None:
    """Return the median of what was measured, None where nothing was."""
    values = [figures[measure] for figures in rounds.get(queue, []) if measure in figures]
    return statistics.median(values) if values else None


Cell = tuple[str, str]


@dataclass(frozen=True)
class _Aim:
    code: str
    what: str
    factor: float
    ours: Cell
    theirs: Cell
    name: str
    """What the other side is called."""
    at_most: bool = False
    """Ours may be at most so many times theirs; otherwise it has to be at least that."""


# How long a transaction takes is the inverse of the rate: theirs over ours.
AIMS = (
    _Aim("P1", "drain, one process", 0.9, (OURS, "drain"), (RAW, "drain"), RAW),
    _Aim("P1", "drain, one process", 6.0, (OURS, "drain"), ("pgqueuer", "drain"), "pgqueuer"),
    _Aim("P1", "drain, one process", 1.6, (OURS, "drain"), (GRAPHILE, "drain"), GRAPHILE),
    _Aim("P2", "drain with log lines", 1.1, (LOGS, "drain"), (GRAPHILE, "drain"), f"{GRAPHILE} without them"),
    _Aim("P3", "drain with log lines, two processes", 1.15, (LOGS, "drain_two"), (LOGS, "drain"), "one process"),
    _Aim(
        "P4", "time to enqueue one", 1.25, (RAW, "enqueue_each"), (OURS, "enqueue_each"), "a raw INSERT", at_most=True
    ),
    _Aim("P5", "enqueue_many", 0.6, (OURS, "enqueue"), (RAW, "enqueue"), "raw COPY"),
    _Aim("P5", "enqueue_many", 2.0, (OURS, "enqueue"), (GRAPHILE, "enqueue"), GRAPHILE),
    _Aim("P7", "idle: enqueue to start, p50", 1.5, (OURS, "latency_p50"), (RAW, "latency_p50"), RAW, at_most=True),
    _Aim("P7", "idle: enqueue to start, p99", 1.5, (OURS, "latency_p99"), (RAW, "latency_p99"), RAW, at_most=True),
)


def goals(rounds: Rounds) -> list[Goal]:
    """Compare with the goals, side by side in this run."""
    return [_reached(aim, median(rounds, *aim.ours), median(rounds, *aim.theirs)) for aim in AIMS]


def _reached(aim: _Aim, ours: float | None, theirs: float | None) -> Goal:
    goal = f"{'<=' if aim.at_most else '>='} {aim.factor:g} x {aim.name}"
    if ours is None or not theirs:
        return Goal(aim.code, aim.what, goal, "nothing", None)
    ratio = ours / theirs
    met = ratio <= aim.factor if aim.at_most else ratio >= aim.factor
    return Goal(aim.code, aim.what, goal, f"{ratio:.2f} x", met)


def as_document(rounds: Rounds, about: dict[str, Any], *, scaled: bool) -> dict[str, Any]:
    """Return everything as JSON has it: what was measured where, every round, the rows, the goals."""
    return {
        **about,
        "scaled": scaled,
        "rows": [asdict(row) for row in rows(rounds)],
        "goals": [goal.as_json() for goal in goals(rounds)],
        "rounds": rounds,
    }
