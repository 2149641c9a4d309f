"""What the benchmark of several queues makes of its figures."""

from __future__ import annotations

from benchmarks.catalogue import ENTRANTS, LOGS, OURS, RAW
from benchmarks.environment import pins
from benchmarks.figures import goals, rows

ROUNDS = {
    OURS: [
        {"drain": 40_000.0, "latency_p50": 3.0, "enqueue_each": 2_000.0},
        {"drain": 10.0, "latency_p50": 5.0, "enqueue_each": 2_000.0},
        {"drain": 50_000.0, "latency_p50": 4.0, "enqueue_each": 2_000.0},
    ],
    RAW: [{"drain": 50_000.0, "latency_p50": 2.0, "enqueue_each": 2_200.0}],
    LOGS: [{"drain": 30_000.0, "drain_two": 33_000.0}],
    "pgqueuer": [{"drain": 5_000.0}],
}


def test_the_best_of_each_measure_stands_first_with_its_ratio_to_us() -> None:
    found = [(r.queue, r.median, r.least, r.most, r.ratio) for r in rows(ROUNDS) if r.measure == "drain"]
    assert found == [
        (RAW, 50_000, 50_000, 50_000, 1.25),
        (OURS, 40_000, 10, 50_000, 1),
        (LOGS, 30_000, 30_000, 30_000, 0.75),
        ("pgqueuer", 5_000, 5_000, 5_000, 0.125),
    ]
    assert [r.queue for r in rows(ROUNDS) if r.measure == "latency_p50"] == [RAW, OURS]
    assert [r.ratio for r in rows(ROUNDS) if r.measure == "drain_two"] == [None]


def test_a_goal_is_met_missed_or_not_measured() -> None:
    lines = [goal.line(scaled=True) for goal in goals(ROUNDS)]
    assert lines == [
        "P1 drain, one process goal >= 0.9 x raw SQL reached 0.80 x no (scaled)",
        "P1 drain, one process goal >= 6 x pgqueuer reached 8.00 x yes (scaled)",
        "P1 drain, one process goal >= 1.6 x graphile-worker reached nothing not measured (scaled)",
        "P2 drain with log lines goal >= 1.1 x graphile-worker without them reached nothing not measured (scaled)",
        "P3 drain with log lines, two processes goal >= 1.15 x one process reached 1.10 x no (scaled)",
        "P4 time to enqueue one goal <= 1.25 x a raw INSERT reached 1.10 x yes (scaled)",
        "P5 enqueue_many goal >= 0.6 x raw COPY reached nothing not measured (scaled)",
        "P5 enqueue_many goal >= 2 x graphile-worker reached nothing not measured (scaled)",
        "P7 idle: enqueue to start, p50 goal <= 1.5 x raw SQL reached 2.00 x no (scaled)",
        "P7 idle: enqueue to start, p99 goal <= 1.5 x raw SQL reached nothing not measured (scaled)",
    ]


def test_every_peer_has_a_pinned_version() -> None:
    assert {entrant.package for entrant in ENTRANTS if entrant.package} <= set(pins())
