"""The user's four metrics, for Prometheus.

Names come from section "Observabilidade" of the job architecture document (docs/source). Labels: ``job``, ``queue``,
and ``status`` (success | failed = buried | retried). What is no attempt is counted by ``outcome``. The wait counts
from run_at or enqueue to start, by the database's clock. ``jobs_in_dlq_total`` is sampled by one process and never
summed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.outcome import Claimed, Settlement

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
        self._dead = Gauge(
            "jobs_in_dlq_total", "Dead letters.", _LABELS, registry=registry, multiprocess_mode="mostrecent"
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
        self._pins = Gauge(
            "pgqueue_pinned_rows",
            "Ready rows that somebody keeps locked.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._children: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._counters: dict[tuple[str, str, str], Any] = {}
        self._seen_dead: set[tuple[str, str]] = set()

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

    def sampled(self, dead: Sequence[tuple[str, str, int]], pins: int) -> None:
        """Set the sampled gauges; a kind whose dead letters are gone goes to 0."""
        now = {(kind, queue): count for kind, queue, count in dead}
        for key in self._seen_dead | now.keys():
            self._dead.labels(*key).set(now.get(key, 0))
        self._seen_dead |= now.keys()
        self._pins.set(pins)

    def _of(self, job: Claimed) -> tuple[Any, Any]:
        key = (job.kind, job.queue)
        children = self._children.get(key)
        if children is None:
            children = self._children[key] = (self._ran.labels(*key), self._waited.labels(*key))
        return children
