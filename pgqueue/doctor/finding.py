"""What `pgqueue doctor` finds, and from when on it is worth saying."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Literal

Severity = Literal["fault", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. ``code`` is stable, for scripts."""

    code: str
    severity: Severity
    title: str
    meaning: str
    advice: str
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is worth a finding."""

    outbox_age: float = 10.0
    """Seconds that a committed job may stand in the outbox."""
    snapshot_age: float = 600.0
    """Seconds that a transaction may stay open."""
    silent: timedelta = timedelta(seconds=45)
    """How long a worker may say nothing."""
    lease_grace: timedelta = timedelta(seconds=20)
    """How long after its lease a job may wait for its rescue, which looks every 10 s."""
    overdue: timedelta = timedelta(seconds=90)
    """How long behind its time a schedule may fire."""
    wake_up: float = 2.0
    """Seconds in which a notification must arrive."""


def length(seconds: float | None) -> str:
    """Return a length of time in the unit that fits it."""
    amount = seconds or 0.0
    for least, unit, name in ((172_800, 86_400, "days"), (7200, 3600, "hours"), (120, 60, "minutes")):
        if amount >= least:
            return f"{int(amount // unit)} {name}"
    return f"{amount:.0f} s"
