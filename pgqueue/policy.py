"""How a kind of job is treated: the class keywords of `Job`, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError, InvalidJob
from pgqueue.limit import checked_limits
from pgqueue.retry import Retry
from pgqueue.unique import Unique

if TYPE_CHECKING:
    from pgqueue.limit import Limit, Rate

_KEEP_COMPLETED = timedelta(hours=1)
_KEEP_ENDED = timedelta(days=7)
_MAX_AGE = timedelta(days=7)
_MOST_COST = 1000
RETENTION = ("retain", "retain_cancelled", "retain_discarded", "retain_dead")
Priority = Literal["high", "normal", "low"]
Idempotency = Literal["state check", "lock", "key", "transaction"]
LANES: dict[str, int] = {"normal": 0, "high": 1, "low": 2}
"""Where the jobs of a priority stand; the claim serves 1 before 0 before 2."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a kind of job is treated. What is not said has the defaults below."""

    queue: str = "default"
    timeout: timedelta | None = None
    """None: the queue's timeout."""
    retry: Retry = field(default_factory=Retry)
    retain: timedelta | None = None
    """How long the row of a completed job is kept; "0s" keeps none (for kinds of high volume). None: as its queue."""
    retain_cancelled: timedelta | None = None
    retain_discarded: timedelta | None = None
    retain_dead: timedelta | None = None
    """How long a dead letter is kept that nobody handles. None: as its queue says, else for ever."""
    max_age: timedelta = _MAX_AGE
    """How long after its first due time a job may still be snoozed."""
    executor: str | None = None
    """"process": a child process. None: `async def run` is awaited, `def run` goes to a thread."""
    memory: int | None = None
    """How many bytes a run may allocate in its child process."""
    cpu: timedelta | None = None
    """How much processor time a run may use in its child process."""
    unique: Unique | None = None
    """None: any number of equal jobs."""
    limit: tuple[Limit | Rate, ...] = ()
    """How many may run at once, or start in a time, by key; a job has to fit all of them."""
    cost: int | None = None
    """How many ordinary jobs one of this kind weighs in a fair queue. None: one."""
    priority: Priority = "normal"
    """Which jobs of the same queue go before which; lower ones keep an eighth."""
    idempotency: Idempotency | None = None
    """What makes a second run the same as one."""
    version: int = 1
    use_case: str = ""
    dispatched_by: tuple[str, ...] = ()
    safe: frozenset[str] = frozenset()

    def kept_seconds(self, moment: str) -> float:
        """How long the row of a job that ended so ("complete", "cancel", "discard") is kept, in seconds."""
        said, default = {
            "complete": (self.retain, _KEEP_COMPLETED),
            "cancel": (self.retain_cancelled, _KEEP_ENDED),
            "discard": (self.retain_discarded, _KEEP_ENDED),
        }[moment]
        return (default if said is None else said).total_seconds()


def check_values(name: str, retry: object, unique: object, idempotency: object, version: int) -> None:
    """Refuse policies that are not what their keyword takes."""
    if retry is not None and not isinstance(retry, Retry):
        raise TypeError(f"{name} retry is {retry!r}; give Retry(max_attempts=3, backoff=[...])")
    if version < 1:
        raise TypeError(f"{name} version is {version!r}; count payload versions from 1")
    if unique is not None and not isinstance(unique, Unique):
        raise TypeError(f"{name} unique is {unique!r}; give Unique('field', while_='live')")
    if idempotency is not None and idempotency not in get_args(Idempotency):
        known = ", ".join(map(repr, get_args(Idempotency)))
        raise TypeError(f"{name} idempotency is {idempotency!r}; give one of {known}")


def checked_priority(priority: Priority | None, what: str) -> Priority | None:
    """Refuse a word that is no priority."""
    if priority is not None and priority not in LANES:
        raise InvalidJob(f"{what} is {priority!r}; give one of {', '.join(map(repr, sorted(LANES)))}")
    return priority


def _positive(value: Duration, what: str) -> timedelta:
    length = duration(value, what=what)
    if length <= timedelta(0):
        raise ConfigurationError(f"{what} is {value!r}; it must be longer than nothing")
    return length


def times(name: str, **lengths: Duration | None) -> dict[str, Any]:
    """Read the keywords that are lengths of time, and longer than nothing."""
    return {key: _positive(value, f"{name} {key}") for key, value in lengths.items() if value is not None}


def kept(name: str, **lengths: Duration | None) -> dict[str, Any]:
    """Read the keywords that say how long a row is kept, which may be not at all."""
    return {key: duration(value, what=f"{name} {key}") for key, value in lengths.items() if value is not None}


def turns(name: str, limit: object, cost: int | None, priority: Priority | None) -> dict[str, Any]:
    """Read the keywords that say when a job has its turn."""
    if cost is not None and (type(cost) is not int or not 1 <= cost <= _MOST_COST):
        raise TypeError(f"{name} cost is {cost!r}; give 1 to {_MOST_COST}: how many ordinary jobs one weighs")
    return {
        "limit": None if limit is None else checked_limits(limit, name),
        "cost": cost,
        "priority": checked_priority(priority, f"{name} priority"),
    }
