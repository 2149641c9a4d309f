"""Whatever becomes of a job is written in a log line and counted; an outcome without either is found here."""

from __future__ import annotations

import io
from typing import Any, get_args

import pytest
import structlog
from prometheus_client import CollectorRegistry

from pgqueue import Cancel, Continue, Dead, Discard, Done, Job, JobContext, RetryIn, Snooze
from pgqueue.failure import Failure
from pgqueue.logs import configure
from pgqueue.metrics import MetricsSubscriber
from pgqueue.outcome import Moment, Outcome, Settlement, crash, decide, give_back, refuse
from pgqueue.policy import Policy
from tests.unit.claims import claimed


class Follower(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


RETURNED: list[Any] = [
    Done(),
    RetryIn("5s", "busy"),
    Snooze("5s", "busy"),
    Discard("not wanted"),
    Cancel("not wanted"),
    Dead("hopeless"),
    Continue(Follower()),
]
SETTLED = [
    *(decide(claimed(), Policy(), result) for result in [*RETURNED, None, ValueError("boom")]),
    decide(claimed(attempt=3), Policy(), ValueError("boom")),
    crash(claimed(), Failure("WorkerLost", "gone"), 3),
    crash(claimed(crashes=2), Failure("WorkerLost", "gone"), 3),
    give_back(claimed()),
    refuse(claimed()),
]


def unseen(settlement: Settlement) -> list[str]:
    """Say what is missing of a settlement: its log line, its counter."""
    out, registry = io.StringIO(), CollectorRegistry()
    log, metrics = configure("info", stream=out, json=True), MetricsSubscriber(registry)
    missing = []
    try:
        log.settled(claimed(), settlement, 0.1)
        log.close()
    except KeyError:
        missing.append("no log line")
    finally:
        structlog.reset_defaults()
    try:
        metrics.settled(claimed(), settlement, 0.1)
    except KeyError:
        missing.append("no counter")
    counted = [
        sample
        for family in registry.collect()
        for sample in family.samples
        if family.type == "counter" and sample.name.endswith("_total") and sample.value
    ]
    missing += [] if '"event":"job.' in out.getvalue().replace(" ", "") or "no log line" in missing else ["no log line"]
    return missing + ([] if counted or "no counter" in missing else ["no counter"])


@pytest.mark.parametrize("settlement", SETTLED, ids=lambda settlement: f"{settlement.moment} {settlement.reason}")
def test_what_becomes_of_a_job_is_logged_and_counted(settlement: Settlement) -> None:
    assert unseen(settlement) == []


def test_every_outcome_and_every_moment_is_among_them() -> None:
    assert {type(result) for result in RETURNED} == set(get_args(Outcome))
    assert {settlement.moment for settlement in SETTLED} == set(get_args(Moment))


def test_a_new_moment_without_line_and_counter_is_found() -> None:
    new: Any = "vanish"
    assert unseen(Settlement(7, 5, new, 0.0, None)) == ["no log line", "no counter"]
