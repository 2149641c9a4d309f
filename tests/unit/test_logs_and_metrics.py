"""The user's four log events and four metrics, read from their own document."""

from __future__ import annotations

import io
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from pgqueue.alerts import RULES
from pgqueue.failure import Failure
from pgqueue.logs import LineWriter, configure
from pgqueue.metrics import MetricsSubscriber
from pgqueue.outcome import Snooze, bury, decide, give_back, refuse
from pgqueue.outlet import Outlet
from pgqueue.policy import Policy
from pgqueue.telemetry import Samples, Telemetry
from tests.unit.claims import claimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.outcome import Settlement

DOCUMENT = Path(__file__).parents[2] / "docs" / "source" / "job-architecture.pt.md"
EVENTS = {
    name: {field.strip() for field in fields.split(",")}
    for name, fields in re.findall(r"`(job\.\w+) \{([^}]*)\}`", DOCUMENT.read_text("utf-8"))
}
METRICS = dict(re.findall(r"- `(\w+)` \((\w+)", DOCUMENT.read_text("utf-8")))
NOTHING = Samples({}, 0, {}, {}, {})
SAMPLES = Samples(
    dead={("Greet", "default"): 4},
    pins=0,
    breakers={("payments", "host"): 2},
    raised={"dead_letters": 1},
    overdue={"nightly": 90.5},
)
ON_EACH_LINE = {"correlationId", "traceId", "jobId", "queue", "organizationId", "userId", "jobClass"}


@pytest.fixture(autouse=True)
def _default_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def outcomes() -> list[tuple[Any, Settlement]]:
    first, last = claimed(), claimed(attempt=3)
    return [
        (first, decide(first, Policy(), None)),
        (first, decide(first, Policy(), ValueError("boom"))),
        (last, decide(last, Policy(), ValueError("boom"))),
        (first, bury(first, "crashed", Failure("WorkerLost", "gone"))),
        (first, decide(first, Policy(), Snooze("5s", "busy"))),
        (first, refuse(first)),
        (first, give_back(first)),
    ]


def written(level: str = "info") -> list[dict[str, Any]]:
    out = io.StringIO()
    subscriber = configure(level, stream=out, json=True)
    subscriber.started(claimed())
    for job, settlement in outcomes():
        subscriber.settled(job, settlement, 0.25)
    subscriber.lease_lost(claimed())
    subscriber.rescued(7, "default", "Greet", 2)
    assert subscriber.writer
    subscriber.writer.flush()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_document_names_four_events_and_four_metrics() -> None:
    assert sorted(EVENTS) == ["job.completed", "job.dead_letter", "job.failed", "job.started"]
    assert len(METRICS) == 4


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_the_users_events_have_at_least_the_users_fields(event: str) -> None:
    lines = [line for line in written() if line["event"] == event]
    assert lines
    for line in lines:
        assert EVENTS[event] | ON_EACH_LINE <= line.keys()


def test_values_are_the_jobs() -> None:
    lines = {line["event"]: line for line in written()}
    assert lines["job.completed"]["duration_ms"] == 250
    assert lines["job.failed"]["error"] == "boom"
    assert lines["job.dead_letter"]["lastError"] == "gone"
    assert lines["job.started"]["jobClass"] == "Greet"
    assert lines["job.started"]["jobId"] == "7"


def test_the_other_moments_have_lines_in_order() -> None:
    assert [line["event"] for line in written()] == [
        "job.started",
        "job.completed",
        "job.failed",
        "job.failed",
        "job.dead_letter",
        "job.dead_letter",
        "job.snoozed",
        "job.refused",
        "job.given_back",
        "job.lease_lost",
        "job.rescued",
    ]
    assert {line["level"] for line in written()} == {"info", "warning", "error"}
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line["timestamp"]) for line in written())


def test_a_higher_level_leaves_the_quiet_ones_out() -> None:
    assert {line["level"] for line in written("error")} == {"error"}
    assert "job.started" not in {line["event"] for line in written("warning")}


def test_a_terminal_gets_readable_lines() -> None:
    out = io.StringIO()
    subscriber = configure(stream=out, json=False)
    subscriber.started(claimed())
    assert "job.started" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_what_is_no_terminal_gets_json() -> None:
    out = io.StringIO()
    configure(stream=out)
    structlog.get_logger("x").info("hello", thing=object(), odd=float("nan"))
    assert json.loads(out.getvalue())["event"] == "hello"


class Rude:
    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize("value", ["\ud800", "\x00", Rude(), object(), b"\xff", {1: {2: 3}}])
def test_a_line_never_fails_the_job_that_logs_it(value: object) -> None:
    out = io.StringIO()
    configure(stream=out)
    structlog.get_logger("x").info("hello", thing=value)
    assert "hello" in json.loads(out.getvalue())["event"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_is_shown_without_local_variables(as_json: bool) -> None:  # noqa: FBT001 - a parameter
    out = io.StringIO()
    configure(stream=out, json=as_json)
    hidden = "hun" + "ter2"
    try:
        raise ValueError("boom")  # noqa: TRY301 - an error with a trace
    except ValueError:
        structlog.get_logger("x").exception("failed")
    assert "boom" in out.getvalue()
    assert hidden not in out.getvalue()


def test_no_line_is_lost_between_threads() -> None:
    out = io.StringIO()
    writer = LineWriter(Outlet(out))
    stop = threading.Event()

    def flushing() -> None:
        while not stop.is_set():
            writer.flush()

    thread = threading.Thread(target=flushing)
    thread.start()
    for number in range(20_000):
        writer.add({"n": number})
    stop.set()
    thread.join()
    writer.flush()
    assert [json.loads(line)["n"] for line in out.getvalue().splitlines()] == list(range(20_000))


def measured() -> str:
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    metrics.started(claimed(waited=0.25))
    for job, settlement in outcomes():
        metrics.settled(job, settlement, 0.5)
    metrics.sampled(SAMPLES)
    return generate_latest(registry).decode()


@pytest.mark.parametrize(("name", "kind"), sorted(METRICS.items()))
def test_the_users_metrics_exist_with_their_type_and_labels(name: str, kind: str) -> None:
    text = measured()
    family = name.removesuffix("_total") if kind == "counter" else name
    assert re.search(rf"^# TYPE {family}(_total)? {kind}$", text, re.MULTILINE)
    assert re.search(rf'^{name}(_bucket)?\{{job="Greet",(le="[^"]*",)?queue="default"', text, re.MULTILINE)


def test_attempts_are_counted_by_status() -> None:
    text = measured()
    for status, count in {"success": 1, "retried": 1, "failed": 2}.items():
        assert f'job_attempts_total{{job="Greet",queue="default",status="{status}"}} {count}.0' in text
    assert 'jobs_in_dlq_total{job="Greet",queue="default"} 4.0' in text
    assert 'job_queue_wait_seconds_sum{job="Greet",queue="default"} 0.25' in text


def test_dead_letters_that_are_gone_go_to_zero() -> None:
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    metrics.sampled(SAMPLES)
    metrics.sampled(NOTHING)
    assert 'jobs_in_dlq_total{job="Greet",queue="default"} 0.0' in generate_latest(registry).decode()


def test_guards_and_schedules_are_sampled_and_go_back_to_zero() -> None:
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    for samples, breaker, raised, overdue in ((SAMPLES, 2.0, 1.0, 90.5), (NOTHING, 0.0, 0.0, 0.0)):
        metrics.sampled(samples)
        text = generate_latest(registry).decode()
        assert f'pgqueue_breaker_state{{dependency="payments",host="host"}} {breaker}' in text
        assert f'pgqueue_alerts_raised{{rule="dead_letters"}} {raised}' in text
        assert f'pgqueue_schedule_overdue_seconds{{schedule="nightly"}} {overdue}' in text
        assert all(f'pgqueue_alerts_raised{{rule="{rule}"}}' in text for rule in RULES)


def test_a_process_that_no_longer_measures_shows_no_number() -> None:
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    metrics.sampled(SAMPLES)
    metrics.sampled(None)
    text = generate_latest(registry).decode()
    for series in ('jobs_in_dlq_total{job="Greet",queue="default"}', "pgqueue_pinned_rows", "pgqueue_breaker_state"):
        assert re.search(rf"^{re.escape(series)}\S* NaN$", text, re.MULTILINE)


def test_missed_ticks_are_counted_by_schedule() -> None:
    registry = CollectorRegistry()
    metrics = MetricsSubscriber(registry)
    metrics.missed("nightly", 3)
    metrics.missed("nightly", 1)
    assert 'pgqueue_schedule_missed_ticks_total{schedule="nightly"} 4.0' in generate_latest(registry).decode()


class Broken(MetricsSubscriber):
    def __init__(self) -> None:
        """Register nothing, so that all fails."""


def test_a_broken_onlooker_changes_nothing_and_is_left_out() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry([Broken(), MetricsSubscriber(registry)])
    job, settlement = outcomes()[0]
    telemetry.started(job)
    telemetry.settled(job, settlement, 0.1)
    telemetry.lease_lost(job)
    telemetry.rescued(7, "default", "Greet", 1)
    telemetry.sampled(NOTHING)
    assert 'status="success"} 1.0' in generate_latest(registry).decode()
    assert len(telemetry.subscribers) == 1


@pytest.mark.parametrize("moment", ["lease_lost", "rescued", "missed", "sampled"])
def test_an_onlooker_may_break_at_any_moment(moment: str) -> None:
    telemetry = Telemetry([Broken()])
    given: dict[str, tuple[Any, ...]] = {
        "lease_lost": (claimed(),),
        "rescued": (7, "default", "Greet", 1),
        "missed": ("nightly", 1),
        "sampled": (NOTHING,),
    }
    getattr(telemetry, moment)(*given[moment])
    assert telemetry.subscribers == []
