"""How many jobs of one kind, or of one value of a field, may run at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgqueue.errors import ConfigurationError, InvalidJob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.context import Context

MOST_RUNNING = 1_000_000
MOST_LIMITS = 3
_LONGEST_VALUE = 200
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")
_OF_CONTEXT = ("organization_id", "user_id")


class Limit:
    """At most ``running`` jobs at once for each value of ``key``, in all processes on all hosts.

        class SendMail(Job, limit=Limit("organization_id", running=5)): ...

    Args:
        key: ``"organization_id"`` or ``"user_id"`` of the job's context, or a field of the job. None: one count for
            all jobs of the kind. A job whose field is None is not limited.
        running: how many may have a permit at once. A job has it from its place in line until it ends or waits again.
        name: what the limit is called at run time; kinds that name the same one share it. Default: the kind, then
            a dot and the key.

    """

    __slots__ = ("key", "name", "running")

    def __init__(self, key: str | None = None, *, running: int, name: str | None = None) -> None:
        """Check the limit. Raises ConfigurationError: a limit of nothing would hold jobs back for ever."""
        if type(running) is not int or not 1 <= running <= MOST_RUNNING:
            raise ConfigurationError(
                f"a limit has running={running!r}; give 1 to {MOST_RUNNING:,} "
                "(to let nothing run, pause the queue: pgqueue queues pause)"
            )
        if key is not None and not str(key).isidentifier():
            raise ConfigurationError(f"a limit has key={key!r}; name a field of the job, organization_id or user_id")
        if name is not None and not _NAME.match(str(name)):
            raise ConfigurationError(
                f"a limit has name={name!r}; take 1 to 100 letters, digits, dots, _ and -, beginning with a letter"
            )
        self.key = key
        self.running = running
        self.name = name

    def name_for(self, kind: str) -> str:
        """Return the name under which jobs of ``kind`` are counted."""
        return self.name or (kind if self.key is None else f"{kind}.{self.key}")

    def element(self, kind: str, context: Context, fields: Mapping[str, Any]) -> str | None:
        """Return what the outbox stores: the number, then the key that the job counts against; None: not limited.

        Raises:
            InvalidJob: the value is too long to be a key.

        """
        name = self.name_for(kind)
        if self.key is None:
            return f"{self.running} {name}"
        value = getattr(context, self.key) if self.key in _OF_CONTEXT else fields[self.key]
        if value is None:
            return None
        text = str(value)
        if len(text) > _LONGEST_VALUE:
            raise InvalidJob(
                f"the limit {name} takes its key from {self.key}, whose value has {len(text):,} characters, more than "
                f"{_LONGEST_VALUE}; limit by a shorter field, such as an id"
            )
        return f"{self.running} {name}={text}"

    def __repr__(self) -> str:
        """Show the limit as it would be written."""
        named = "" if self.name is None else f", name={self.name!r}"
        return f"Limit({self.key!r}, running={self.running}{named})"


def elements(limits: tuple[Limit, ...], kind: str, context: Context, fields: Mapping[str, Any]) -> list[str] | None:
    """Return what the outbox stores for all limits of a job; None: nothing."""
    found = [limit.element(kind, context, fields) for limit in limits]
    return [element for element in found if element is not None] or None


def checked_limits(given: object, what: str) -> tuple[Limit, ...]:
    """Read the class keyword ``limit``: one, or a few that a job has to fit all.

    Raises:
        TypeError: no limits, too many, or two of one name.

    """
    limits = (given,) if isinstance(given, Limit) else tuple(given) if isinstance(given, (list, tuple)) else None
    if limits is None or not all(isinstance(limit, Limit) for limit in limits):
        raise TypeError(f'{what} limit is {given!r}; give Limit("organization_id", running=5), or a list of limits')
    if len(limits) > MOST_LIMITS:
        raise TypeError(f"{what} limit names {len(limits)} limits; at most {MOST_LIMITS} can be composed")
    names = [(limit.name, limit.key) for limit in limits]
    if len(set(names)) < len(names):
        raise TypeError(f"{what} limit names the same limit twice; give the second one a name=… of its own")
    return limits


def check_keys(limits: tuple[Limit, ...], fields: Mapping[str, Any], what: str) -> None:
    """Refuse a key that no job of the class has."""
    for limit in limits:
        if limit.key is not None and limit.key not in _OF_CONTEXT and limit.key not in fields:
            known = ", ".join([*_OF_CONTEXT, *fields])
            raise TypeError(f"{what} limit has the key {limit.key!r}, which is no field; known: {known}")
