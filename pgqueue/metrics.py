"""The user's four metrics, for Prometheus, and what the queue tells of itself.

Names come from section "Observabilidade" of the job architecture document (docs/source). Labels: ``job``, ``queue``,
and ``status`` (success | failed = buried | retried). What is no attempt is counted by ``outcome``. The wait counts
from run_at or enqueue to start, by the database's clock. ``jobs_in_dlq_total`` is sampled by one process and never
summed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pgqueue.alerts import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.telemetry import Samples

_LABELS = ("job", "queue")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, float("inf"))
_STATUS: dict[str, str] = {"complete": "success", "bury": "failed", "retry": "retried"}
_OUTCOME: dict[str, str] = {
    "snooze": "snoozed",
    "discard": "discarded",
    "cancel": "cancelled",
    "crash": "crashed",
    "give_back": "given_back",
    "refuse": "refused",
}


class _Sampled:
    """A gauge that one process sets for all; what is no longer measured goes to 0."""

    def __init__(self, registry: CollectorRegistry, name: str, told: str, *labels: str) -> None:
        """Register it: of several processes the value that was set last is served, never a sum."""
        self._gauge = Gauge(name, told, labels, registry=registry, multiprocess_mode="mostrecent")
        self._seen: set[tuple[str, ...]] = set()

    def set(self, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Take the values of now."""
        now = dict(values)
        self._seen |= now.keys()
        for key in self._seen:
            self._series(key).set(now.get(key, 0))

    def forget(self) -> None:
        """Show no number."""
        for key in self._seen:
            self._series(key).set(math.nan)

    def _series(self, key: tuple[str, ...]) -> Gauge:
        return self._gauge.labels(*key) if key else self._gauge


class _Figures:
    """What the process with the upkeep role measures for all."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the gauges."""
        self._dead = _Sampled(registry, "jobs_in_dlq_total", "Dead letters.", *_LABELS)
        self._pins = _Sampled(registry, "pgqueue_pinned_rows", "Ready rows that somebody keeps locked.")
        self._breakers = _Sampled(
            registry, "pgqueue_breaker_state", "0 closed, 1 half open, 2 open.", "dependency", "host"
        )
        self._raised = _Sampled(registry, "pgqueue_alerts_raised", "Alerts that are raised.", "rule")
        self._overdue = _Sampled(
            registry, "pgqueue_schedule_overdue_seconds", "How long a tick has been due.", "schedule"
        )

    def take(self, samples: Samples) -> None:
        """Show the figures of now."""
        self._dead.set(samples.dead.items())
        self._pins.set([((), samples.pins)])
        self._breakers.set(samples.breakers.items())
        self._raised.set(((rule,), samples.raised.get(rule, 0)) for rule in RULES)
        self._overdue.set(((schedule,), seconds) for schedule, seconds in samples.overdue.items())

    def forget(self) -> None:
        """Show no number: a figure of long ago would be taken for one of now."""
        for gauge in (self._dead, self._pins, self._breakers, self._raised, self._overdue):
            gauge.forget()


class MetricsSubscriber:
    """Counts. Children are looked up once per kind and queue, because ``labels()`` costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._ran = Histogram(
            "job_processing_duration_seconds", "How long jobs ran.", _LABELS, buckets=_BUCKETS, registry=registry
        )
        self._waited = Histogram(
            "job_queue_wait_seconds", "From run_at or enqueue to start.", _LABELS, buckets=_BUCKETS, registry=registry
        )
        self._attempts = Counter("job_attempts_total", "Attempts by status.", (*_LABELS, "status"), registry=registry)
        self._others = Counter(
            "pgqueue_outcomes_total", "Runs that are no attempt.", (*_LABELS, "outcome"), registry=registry
        )
        self._missed = Counter(
            "pgqueue_schedule_missed_ticks_total", "Ticks nobody was there for.", ("schedule",), registry=registry
        )
        self._lost = Counter(
            "pgqueue_leases_lost_total", "Settlements that changed nothing.", _LABELS, registry=registry
        )
        self._rescued = Counter(
            "pgqueue_rescued_total", "Jobs taken from workers that were gone.", _LABELS, registry=registry
        )
        self._crashed = Counter(
            "pgqueue_crashes_total", "Child processes that a job took down.", _LABELS, registry=registry
        )
        self._figures = _Figures(registry)
        self._children: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._counters: dict[tuple[str, str, str], Any] = {}

    def started(self, job: Claimed) -> None:
        """Observe the wait."""
        self._of(job)[1].observe(job.waited if job.waited > 0 else 0.0)

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Observe the run and count the attempt; what is none is counted apart."""
        status = _STATUS.get(settlement.moment)
        if status is None:
            self._others.labels(job.kind, job.queue, _OUTCOME[settlement.moment]).inc()
            return
        self._of(job)[0].observe(seconds)
        key = (job.kind, job.queue, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._attempts.labels(*key)
        counter.inc()

    def lease_lost(self, job: Claimed) -> None:
        """Count a lost lease."""
        self._lost.labels(job.kind, job.queue).inc()

    def crashed(self, job: Claimed) -> None:
        """Count a crash."""
        self._crashed.labels(job.kind, job.queue).inc()

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Count a rescue."""
        del job_id, crashes
        self._rescued.labels(kind, queue).inc()

    def missed(self, schedule: str, ticks: int) -> None:
        """Count missed ticks."""
        self._missed.labels(schedule).inc(ticks)

    def sampled(self, samples: Samples | None) -> None:
        """Set the sampled gauges; no number once another process measures."""
        if samples is None:
            self._figures.forget()
        else:
            self._figures.take(samples)

    def _of(self, job: Claimed) -> tuple[Any, Any]:
        key = (job.kind, job.queue)
        children = self._children.get(key)
        if children is None:
            children = self._children[key] = (self._ran.labels(*key), self._waited.labels(*key))
        return children
