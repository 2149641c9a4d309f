"""What the testing kit tells of jobs that ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgqueue.job import Job
    from pgqueue.outcome import Settlement


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a job, and how it was (or would be) settled."""

    id: int
    kind: str
    attempt: int
    moment: str
    """complete, retry, snooze, discard, cancel, bury, give_back, refuse; "lost": another worker has the job;
    "crash": its worker died and it was rescued."""
    reason: str = ""
    wait: float | None = None
    """Seconds until it runs again, after retry and snooze."""
    error: BaseException | None = None
    """What ``run`` (or ``on_dead``) raised."""
    outcome: object = None
    """What ``run`` returned."""
    follower: Job | None = None
    """The job that `Continue` enqueues."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one call of ``drain`` ran, in order."""

    runs: list[Ran] = field(default_factory=list)

    def _count(self, moment: str) -> int:
        return Counter(run.moment for run in self.runs)[moment]

    @property
    def completed(self) -> int:
        """Jobs that did their work."""
        return self._count("complete")

    @property
    def retried(self) -> int:
        """Failed attempts that another follows."""
        return self._count("retry")

    @property
    def snoozed(self) -> int:
        """Runs that put themselves off."""
        return self._count("snooze")

    @property
    def discarded(self) -> int:
        """Jobs that ended without their effect, on purpose."""
        return self._count("discard")

    @property
    def cancelled(self) -> int:
        """Jobs that nobody wanted any more."""
        return self._count("cancel")

    @property
    def dead(self) -> int:
        """Jobs that became dead letters."""
        return self._count("bury")

    @property
    def lost(self) -> int:
        """Runs whose lease was lost: nothing of theirs was settled."""
        return self._count("lost")

    @property
    def crashed(self) -> int:
        """Claims whose worker died."""
        return self._count("crash")

    @property
    def errors(self) -> list[BaseException]:
        """What was raised, in order."""
        return [run.error for run in self.runs if run.error is not None]


def told(settlement: Settlement) -> dict[str, Any]:
    """Return what a settlement says, as fields of `Ran`."""
    waits = settlement.moment in {"retry", "snooze"}
    failure = settlement.failure.error if settlement.failure else ""
    return {
        "moment": settlement.moment,
        "reason": settlement.reason or failure or settlement.note or "",
        "wait": settlement.seconds if waits else None,
    }
