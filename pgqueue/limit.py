"""How many jobs of one kind, or of one value of a field, may run at once, and how many may start in a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError, InvalidJob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.context import Context

MOST_RUNNING = 1_000_000
MOST_LIMITS = 3
_LONGEST_VALUE = 200
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")
_OF_CONTEXT = ("organization_id", "user_id")


class _Counted:
    """What limits and rates share: whose jobs are counted together, and under which name."""

    __slots__ = ("key", "name")

    def __init__(self, key: str | None, name: str | None, what: str) -> None:
        if key is not None and not str(key).isidentifier():
            raise ConfigurationError(f"a {what} has key={key!r}; name a field of the job, organization_id or user_id")
        if name is not None and not _NAME.match(str(name)):
            raise ConfigurationError(
                f"a {what} has name={name!r}; take 1 to 100 letters, digits, dots, _ and -, beginning with a letter"
            )
        self.key = key
        self.name = name

    def name_for(self, kind: str) -> str:
        """Return the name under which jobs of ``kind`` are counted."""
        return self.name or (kind if self.key is None else f"{kind}.{self.key}")

    def key_of(self, kind: str, context: Context, fields: Mapping[str, Any]) -> str | None:
        """Return the key that a job counts against; None: it is not limited."""
        name = self.name_for(kind)
        if self.key is None:
            return name
        value = getattr(context, self.key) if self.key in _OF_CONTEXT else fields[self.key]
        return None if value is None else f"{name}={checked_value(value, name, self.key)}"

    def element(self, kind: str, context: Context, fields: Mapping[str, Any]) -> str | None:
        """Return what the outbox stores: how much is allowed, then the key; None: not limited.

        Raises:
            InvalidJob: the value is too long to be a key, or a weight is no weight.

        """
        raise NotImplementedError


class Limit(_Counted):
    """At most ``running`` jobs at once for each value of ``key``, in all processes on all hosts.

        class SendMail(Job, limit=Limit("organization_id", running=5)): ...

    Args:
        key: ``"organization_id"`` or ``"user_id"`` of the job's context, or a field of the job. None: one count for
            all jobs of the kind. A job whose field is None is not limited.
        running: how many may have a permit at once. A job has it from its place in line until it ends or waits again.
        name: what the limit is called at run time; kinds that name the same one share it. Default: the kind, then
            a dot and the key.

    """

    __slots__ = ("running",)

    def __init__(self, key: str | None = None, *, running: int, name: str | None = None) -> None:
        """Check the limit. Raises ConfigurationError: a limit of nothing would hold jobs back for ever."""
        if type(running) is not int or not 1 <= running <= MOST_RUNNING:
            raise ConfigurationError(
                f"a limit has running={running!r}; give 1 to {MOST_RUNNING:,} "
                "(to let nothing run, pause the queue: pgqueue queues pause)"
            )
        super().__init__(key, name, "limit")
        self.running = running

    def element(self, kind: str, context: Context, fields: Mapping[str, Any]) -> str | None:
        """Return the number, then the key; None: not limited."""
        key = self.key_of(kind, context, fields)
        return None if key is None else f"{self.running} {key}"

    def __repr__(self) -> str:
        """Show the limit as it would be written."""
        named = "" if self.name is None else f", name={self.name!r}"
        return f"Limit({self.key!r}, running={self.running}{named})"


class Rate(_Counted):
    """At most ``count`` jobs start in each ``per``, evenly spaced, for each value of ``key``.

        class SendMail(Job, limit=Rate("organization_id", count=60, per="1m")): ...

    Args:
        key: as for `Limit`.
        count: how many may start in ``per``.
        per: a `Duration`.
        burst: how many may start at once after a pause. Default: what comes in one second, at least one.
        weight: how many ordinary ones a job counts for: a number, or the field that says it.
        name: what the rate is called at run time (``rate:name``); what names the same one shares it.

    """

    __slots__ = ("burst", "count", "per", "weight")

    def __init__(
        self,
        key: str | None = None,
        *,
        count: int,
        per: Duration,
        burst: int | None = None,
        weight: int | str = 1,
        name: str | None = None,
    ) -> None:
        """Check the rate. Raises ConfigurationError."""
        self.per = duration(per, what="a rate's per")
        seconds = self.per.total_seconds()
        if type(count) is not int or not 1 <= count <= MOST_RUNNING:
            raise ConfigurationError(f"a rate has count={count!r}; give 1 to {MOST_RUNNING:,}")
        if not seconds or seconds * 1_000_000 < count:
            raise ConfigurationError(f"a rate has count={count} per {per!r}; one in a microsecond is the fastest")
        burst = max(1, round(count / seconds)) if burst is None else burst
        if type(burst) is not int or not 1 <= burst <= MOST_RUNNING:
            raise ConfigurationError(f"a rate has burst={burst!r}; give 1 to {MOST_RUNNING:,}")
        if not (isinstance(weight, str) and weight.isidentifier()) and not (
            type(weight) is int and 1 <= weight <= burst
        ):
            raise ConfigurationError(
                f"a rate has weight={weight!r}; give 1 to its burst ({burst}), or the name of a field"
            )
        super().__init__(key, name, "rate")
        self.count = count
        self.burst = burst
        self.weight = weight

    @property
    def spec(self) -> str:
        """How the database spells the rate: count, microseconds, burst."""
        return f"{self.count}/{round(self.per.total_seconds() * 1_000_000)}/{self.burst}"

    def element(self, kind: str, context: Context, fields: Mapping[str, Any]) -> str | None:
        """Return the rate and what the job weighs, then the key; None: not limited."""
        key = self.key_of(kind, context, fields)
        if key is None:
            return None
        weight = fields[self.weight] if isinstance(self.weight, str) else self.weight
        if type(weight) is not int or not 1 <= weight <= MOST_RUNNING:
            raise InvalidJob(
                f"{kind}.{self.weight} is {weight!r}, and the weight of its rate; give 1 to {MOST_RUNNING:,}"
            )
        return f"{self.spec}/{weight} rate:{key}"

    def __repr__(self) -> str:
        """Show the rate as it would be written."""
        named = "" if self.name is None else f", name={self.name!r}"
        seconds = f"{self.per.total_seconds():g}s"
        parts = f"{self.key!r}, count={self.count}, per={seconds!r}, burst={self.burst}, weight={self.weight!r}"
        return f"Rate({parts}{named})"


def checked_value(value: object, name: str, source: str) -> str:
    """Refuse what is too long to be part of a key."""
    text = str(value)
    if len(text) > _LONGEST_VALUE:
        raise InvalidJob(
            f"the limit {name} takes its key from {source}, whose value has {len(text):,} characters, more than "
            f"{_LONGEST_VALUE}; limit by a shorter field, such as an id"
        )
    return text


def elements(
    limits: tuple[Limit | Rate, ...], kind: str, context: Context, fields: Mapping[str, Any]
) -> list[str] | None:
    """Return what the outbox stores for all limits of a job, one element for each key; None: nothing."""
    if not limits:
        return None
    found = [limit.element(kind, context, fields) for limit in limits]
    first: dict[str, str] = {}  # two limits of one name may meet in one key: it counts once
    for element in found:
        if element is not None:
            first.setdefault(element.partition(" ")[2], element)
    return list(first.values()) or None


def checked_limits(given: object, what: str) -> tuple[Limit | Rate, ...]:
    """Read the class keyword ``limit``: one, or a few that a job has to fit all.

    Raises:
        TypeError: no limits, too many, or two of one name.

    """
    limits = (given,) if isinstance(given, _Counted) else tuple(given) if isinstance(given, (list, tuple)) else None
    if limits is None or not all(isinstance(limit, (Limit, Rate)) for limit in limits):
        raise TypeError(f'{what} limit is {given!r}; give Limit("organization_id", running=5), or a list of limits')
    if len(limits) > MOST_LIMITS:
        raise TypeError(f"{what} limit names {len(limits)} limits; at most {MOST_LIMITS} can be composed")
    names = [(type(limit), limit.name, limit.key) for limit in limits]
    if len(set(names)) < len(names):
        raise TypeError(f"{what} limit names the same limit twice; give the second one a name=… of its own")
    return limits


def check_keys(limits: tuple[Limit | Rate, ...], fields: Mapping[str, Any], what: str) -> None:
    """Refuse a key that no job of the class has."""
    for limit in limits:
        if limit.key is not None and limit.key not in _OF_CONTEXT and limit.key not in fields:
            known = ", ".join([*_OF_CONTEXT, *fields])
            raise TypeError(f"{what} limit has the key {limit.key!r}, which is no field; known: {known}")
        if isinstance(limit, Rate) and isinstance(limit.weight, str) and limit.weight not in fields:
            raise TypeError(f"{what} rate has the weight {limit.weight!r}, which is no field of it")
