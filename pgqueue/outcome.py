"""What became of a job: values that a job returns, and the one place where fate is chosen.

Errors have three owners: the job (spends an attempt), a dependency (snooze, no attempt, bounded by a deadline),
the process (crashes are counted). `decide` is pure: no clock, no database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pgqueue.duration import Duration, duration
from pgqueue.failure import MOST_ERROR, Failure, describe, storable

if TYPE_CHECKING:
    from pgqueue.job import Job
    from pgqueue.policy import Policy


@dataclass(frozen=True, slots=True)
class Done:
    """The job is complete; returning ``None`` says the same."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """The attempt failed; try again after ``delay`` (None: the policy's backoff). Spends an attempt."""

    delay: Duration | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now, nobody's fault: run again after ``delay``. Spends no attempt, is bounded by the job's ``max_age``."""

    delay: Duration
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Discard:
    """The job is finished without its effect, on purpose, and nobody needs to look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody wants the job any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt can help: straight to the dead letters."""

    reason: str


@dataclass(frozen=True, slots=True)
class Continue:
    """The job is complete and ``job`` follows it: both in one commit."""

    job: Job


_CRASH_WAIT = 1.0  # seconds after the first crash, doubled with each

Outcome = Done | RetryIn | Snooze | Discard | Cancel | Dead | Continue
Moment = Literal["complete", "retry", "snooze", "discard", "cancel", "bury", "crash", "give_back", "refuse"]
"""What a settlement does. Each has its log line and its counter."""


class Claimed(NamedTuple):
    """A job in the hands of a worker, as the claim returned it. ``(id, claims)`` is the fence."""

    id: int
    queue: str
    kind: str
    payload_version: int
    args: str
    organization_id: str
    user_id: str
    correlation_id: str
    trace_id: str
    attempt: int
    max_attempts: int | None
    claims: int
    crashes: int
    refusals: int
    cancel_requested: bool
    doomed: str | None
    enqueued: float
    waited: float
    expires_in: float | None


class Settlement(NamedTuple):
    """One line of the settling statement. ``seconds``: how long to keep the row, or how long to wait."""

    id: int
    claims: int
    moment: Moment
    seconds: float
    note: str | None
    failure: Failure | None = None
    reason: str = ""


def complete(claimed: Claimed, policy: Policy) -> Settlement:
    """Settle a job that did what it had to."""
    return Settlement(claimed.id, claimed.claims, "complete", policy.kept_seconds("complete"), None)


def decide(claimed: Claimed, policy: Policy, result: object, *, ran: float = 0.0, scale: float = 1.0) -> Settlement:
    """Choose the fate of a claimed job.

    Args:
        claimed: the job.
        policy: of its kind.
        result: what ``run`` returned or raised; anything but an outcome or None is a failed attempt.
        ran: seconds since the claim.
        scale: time scale of a demonstration: waits are divided by it.

    """
    match result:
        case Snooze(delay, reason):
            return _snooze(claimed, policy, duration(delay, what="a snooze").total_seconds() / scale, reason, ran)
        case Discard(reason) | Cancel(reason):
            moment: Moment = "discard" if isinstance(result, Discard) else "cancel"
            return Settlement(
                claimed.id, claimed.claims, moment, policy.kept_seconds(moment), storable(reason, MOST_ERROR)
            )
        case Dead(reason):
            return bury(claimed, "dead", Failure("Dead", storable(reason, MOST_ERROR)))
        case RetryIn(delay, reason):
            wait = None if delay is None else duration(delay, what="a retry").total_seconds()
            failure = Failure("RetryIn", storable(reason, MOST_ERROR))
        case BaseException():
            wait, failure = None, describe(result)
        case None | Done() | Continue():
            return complete(claimed, policy)
        case _:  # "completed" would be a lie: a generator, say, has not even begun
            wait, failure = None, Failure("WrongResult", _wrong(result))
    return _retry(claimed, policy, failure, wait, scale)


def bury(claimed: Claimed, reason: str, failure: Failure) -> Settlement:
    """Give the job up: a row in ``dead_jobs`` that says why."""
    note = {"reason": reason, "fingerprint": failure.fingerprint(claimed.kind)} | _entry(failure)
    return Settlement(claimed.id, claimed.claims, "bury", 0.0, json.dumps(note), failure, reason)


def crash(claimed: Claimed, failure: Failure, most: int, scale: float = 1.0) -> Settlement:
    """Count a crash against the job that ended its process; the ``most``-th in a row buries it as poison."""
    if claimed.crashes + 1 >= most:
        return bury(claimed, "crashed", failure)
    seconds = _CRASH_WAIT * 2.0**claimed.crashes / scale
    return Settlement(claimed.id, claimed.claims, "crash", seconds, json.dumps(_entry(failure)), failure)


def give_back(claimed: Claimed, seconds: float = 0.0) -> Settlement:
    """Return a job that was not started: to the front, no attempt spent."""
    return Settlement(claimed.id, claimed.claims, "give_back", seconds, None)


def refuse(claimed: Claimed, scale: float = 1.0) -> Settlement:
    """Return a job whose kind or payload version this worker does not know, with growing delay."""
    return Settlement(claimed.id, claimed.claims, "refuse", min(2.0**claimed.refusals, 60.0) / scale, None)


def _wrong(result: object) -> str:
    """Say what ``run`` may return. The value itself is not shown: it may hold secrets."""
    what = (
        f"the class {result.__qualname__}" if isinstance(result, type) else f"a value of type {type(result).__name__}"
    )
    allowed = ", ".join(each.__name__ for each in get_args(Outcome))
    return storable(f"run returned {what}; return None or an instance of one of {allowed}", MOST_ERROR)


def _snooze(claimed: Claimed, policy: Policy, seconds: float, reason: str, ran: float) -> Settlement:
    seconds = max(seconds, 0.001)
    # A row from SQL may have no deadline: then its kind's max_age counts from the time when it was last due.
    left = policy.max_age.total_seconds() - claimed.waited if claimed.expires_in is None else claimed.expires_in
    if ran + seconds > left:
        text = f"snoozed beyond its max_age: {reason}" if reason else "snoozed beyond its max_age"
        return bury(claimed, "expired", Failure("Expired", storable(text, MOST_ERROR)))
    return Settlement(claimed.id, claimed.claims, "snooze", seconds, None, None, storable(reason, MOST_ERROR))


def _retry(claimed: Claimed, policy: Policy, failure: Failure, wait: float | None, scale: float) -> Settlement:
    if claimed.attempt >= (claimed.max_attempts or policy.retry.max_attempts):
        return bury(claimed, "attempts", failure)
    seconds = policy.retry.wait_after(claimed.attempt).total_seconds() if wait is None else max(wait, 1.0)
    return Settlement(claimed.id, claimed.claims, "retry", seconds / scale, json.dumps(_entry(failure)), failure)


def _entry(failure: Failure) -> dict[str, str]:
    entry = {"type": failure.type, "error": failure.error}
    return entry | {"trace": failure.trace} if failure.trace else entry
