"""The one seam between what happens and who looks on: logs and metrics are subscribers.

| event | when | log line | level |
|---|---|---|---|
| started | a job begins to run | `job.started` | info |
| completed | it did its work | `job.completed` | info |
| failed | an attempt failed and another follows | `job.failed` | warning |
| buried | it became a dead letter | `job.failed` and `job.dead_letter` | error |
| postponed | snoozed, given back or refused: no attempt spent | `job.snoozed`, `job.given_back`, `job.refused` | info |
| ended | discarded or cancelled | `job.discarded`, `job.cancelled` | info |
| lease_lost | another worker has the job; nothing was written | `job.lease_lost` | warning |
| crashed | the job ended the child process that ran it | `job.crashed` | warning |
| rescued | the job was taken from a worker that is gone | `job.rescued` | warning |
| missed | a schedule was moved on, and ticks of it were missed | `schedule.missed` | warning |
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pgqueue.outcome import Claimed, Settlement

_log = logging.getLogger(__name__)


class Samples(NamedTuple):
    """What the process with the upkeep role measures for all."""

    dead: Mapping[tuple[str, str], int]
    """Dead letters by kind and queue."""
    pins: int
    """Ready rows that somebody keeps locked."""
    breakers: Mapping[tuple[str, str], int]
    """By dependency and host: 0 closed, 1 half open, 2 open."""
    raised: Mapping[str, int]
    """Raised alerts by rule."""
    overdue: Mapping[str, float]
    """By schedule, the seconds since it should have fired."""


class Subscriber(Protocol):
    """Looks on. What it raises is logged and changes no job's outcome."""

    def started(self, job: Claimed) -> None:
        """Hear that a job begins to run."""

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Hear how a run ended; ``seconds`` is how long it took."""

    def lease_lost(self, job: Claimed) -> None:
        """Hear that a settlement changed nothing, because another worker has the job."""

    def crashed(self, job: Claimed) -> None:
        """Hear that a job ended the child process that ran it."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Hear that a job was taken from a worker that is gone."""

    def missed(self, schedule: str, ticks: int) -> None:
        """Hear that so many ticks of a schedule were missed; the one process that moved it on says so."""

    def sampled(self, samples: Samples | None) -> None:
        """Hear what this process measured for all; None: from now on another one does."""


class Telemetry:
    """Tells all subscribers; a broken one is logged once and left out from then on."""

    def __init__(self, subscribers: Sequence[Subscriber]) -> None:
        """Start with these subscribers."""
        self.subscribers = list(subscribers)

    def started(self, job: Claimed) -> None:
        """Tell that a job begins to run."""
        for subscriber in self.subscribers:
            try:
                subscriber.started(job)
            except Exception:  # noqa: BLE001 - an onlooker must not change a job's fate
                self._leave_out(subscriber)

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Tell how a run ended."""
        for subscriber in self.subscribers:
            try:
                subscriber.settled(job, settlement, seconds)
            except Exception:  # noqa: BLE001 - an onlooker must not change a job's fate
                self._leave_out(subscriber)

    def lease_lost(self, job: Claimed) -> None:
        """Tell that a lease was lost."""
        self._tell(lambda subscriber: subscriber.lease_lost(job))

    def crashed(self, job: Claimed) -> None:
        """Tell that a job ended its process."""
        self._tell(lambda subscriber: subscriber.crashed(job))

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Tell that a job was rescued."""
        self._tell(lambda subscriber: subscriber.rescued(job_id, queue, kind, crashes))

    def missed(self, schedule: str, ticks: int) -> None:
        """Tell that ticks were missed."""
        self._tell(lambda subscriber: subscriber.missed(schedule, ticks))

    def sampled(self, samples: Samples | None) -> None:
        """Tell sampled figures."""
        self._tell(lambda subscriber: subscriber.sampled(samples))

    def _tell(self, tell: Callable[[Subscriber], None]) -> None:
        for subscriber in self.subscribers:
            try:
                tell(subscriber)
            except Exception:  # noqa: BLE001 - an onlooker must not change a job's fate
                self._leave_out(subscriber)

    def _leave_out(self, subscriber: Subscriber) -> None:
        _log.exception("a subscriber failed and hears no more of jobs: %r", subscriber)
        self.subscribers = [other for other in self.subscribers if other is not subscriber]
