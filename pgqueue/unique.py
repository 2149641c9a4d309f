"""Which jobs are the same, for how long only one of them may be there, and what becomes of the next one."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from pydantic_core import to_json, to_jsonable_python

from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

While = Literal["live", "waiting"]
OnConflict = Literal["skip", "replace", "replace_args"]
_SHORTEST = timedelta(seconds=1)


class Uniqueness(NamedTuple):
    """What rows of the outbox say of it; nothing for jobs that need not be unique."""

    unique_while: str | None = None
    unique_period: timedelta | None = None
    unique_max_wait: timedelta | None = None
    on_conflict: str | None = None


class Unique:
    """Jobs of one kind and organization with equal values of ``fields`` (none named: of all) are the same job.

    Args:
        fields: names of top-level fields.
        while_: "live": until the job has ended, through every retry, snooze, rescue and requeue. "waiting": until it
            starts. A length of time such as "1h": none comes in within it, counted from the first one's enqueue,
            whatever became of that one.
        on_conflict: "skip": the newer one is merged into the older. "replace": the older takes the newer one's
            arguments and time. "replace_args": its arguments only. One that is running is never changed: the newer one
            follows it when it has ended (while_="live") or comes in beside it (while_="waiting").
        wait: a delay for jobs that are enqueued without ``delay`` and ``run_at``.
        max_wait: "replace" moves no job further than this from the time when it was first enqueued.

    """

    __slots__ = ("fields", "max_wait", "on_conflict", "period", "wait", "while_")

    def __init__(
        self,
        *fields: str,
        while_: While | Duration = "live",
        on_conflict: OnConflict = "skip",
        wait: Duration | None = None,
        max_wait: Duration | None = None,
    ) -> None:
        """Check the policy. Raises ConfigurationError for what would mean nothing."""
        named: tuple[object, ...] = fields
        if wrong := [field for field in named if not isinstance(field, str)]:
            raise ConfigurationError(f"unique takes names of fields, not {wrong[0]!r}; write Unique('post_id')")
        if on_conflict not in get_args(OnConflict):
            known = ", ".join(get_args(OnConflict))
            raise ConfigurationError(f"on_conflict is {on_conflict!r}; give one of {known}")
        self.fields = tuple(sorted(set(fields)))
        self.while_ = str(while_) if while_ in get_args(While) else "period"
        self.period = None if self.while_ != "period" else _length(while_, "while_")
        self.on_conflict = on_conflict
        self.wait = None if wait is None else _length(wait, "wait")
        self.max_wait = None if max_wait is None else _length(max_wait, "max_wait")
        if self.period is not None and on_conflict != "skip":
            raise ConfigurationError(
                f"on_conflict is {on_conflict!r} within a period; a period keeps its first job: say skip, "
                'or while_="waiting" to let the newest job through'
            )
        if self.max_wait is not None and on_conflict != "replace":
            raise ConfigurationError(
                'max_wait bounds how far on_conflict="replace" moves a job; say replace, or drop it'
            )
        if self.max_wait is not None and self.wait is not None and self.max_wait < self.wait:
            raise ConfigurationError("max_wait is shorter than wait; a job would never wait as long as it should")

    def check(self, name: str, known: Iterable[str]) -> None:
        """Refuse fields that the job class does not have."""
        if unknown := sorted(set(self.fields) - set(known)):
            fields = ", ".join(sorted(known)) or "none"
            raise TypeError(f"{name} is unique by {unknown[0]!r}, which is no field of it; its fields: {fields}")

    @property
    def said(self) -> Uniqueness:
        """What the outbox's rows of such jobs say, all but the hash."""
        return Uniqueness(self.while_, self.period, self.max_wait, self.on_conflict)

    def hash(self, kind: str, organization_id: str, args: Mapping[str, Any]) -> bytes:
        """Return what is equal for equal jobs."""
        return hash_of(organization_id, kind, key_of({field: args[field] for field in self.fields or args}))

    def __repr__(self) -> str:
        """Show the policy as it would be written."""
        parts = [repr(field) for field in self.fields]
        parts.append(f"while_='{f'{self.period.total_seconds():g}s' if self.period else self.while_}'")
        parts.append(f"on_conflict={self.on_conflict!r}")
        parts += [
            f"{name}='{length.total_seconds():g}s'"
            for name, length in (("wait", self.wait), ("max_wait", self.max_wait))
            if length is not None
        ]
        return f"Unique({', '.join(parts)})"


class Debounce(Unique):
    """Runs when things have been quiet for ``wait``, with the newest arguments, at the latest after ``max_wait``."""

    __slots__ = ()

    def __init__(self, *fields: str, wait: Duration, max_wait: Duration | None = None) -> None:
        """Check the policy; ``max_wait`` is ten times ``wait`` unless it is given."""
        most = _length(wait, "wait") * 10 if max_wait is None else max_wait
        super().__init__(*fields, while_="waiting", on_conflict="replace", wait=wait, max_wait=most)


class Throttle(Unique):
    """Lets the first one through and merges whatever else is enqueued within ``every`` of it."""

    __slots__ = ()

    def __init__(self, *fields: str, every: Duration) -> None:
        """Check the policy."""
        super().__init__(*fields, while_=_length(every, "every"))


def key_of(values: Mapping[str, Any]) -> str:
    """Write values as JSON that is the same whenever they are equal: sorted, compact, times in UTC."""
    return json.dumps(_plain(dict(values)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_of(organization_id: str, kind: str, key: str) -> bytes:
    """Hash as the stored function does: lengths before the parts, so that no two lists read the same."""
    parts = (part.encode("utf-8") for part in (organization_id, kind, key))
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).digest()


def _plain(value: Any) -> Any:
    """Turn a value into what JSON has, without the ways in which equal values are written differently."""
    if isinstance(value, dict):
        return {str(to_jsonable_python(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=to_json)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    elif isinstance(value, Decimal):
        value = value.normalize()
    return to_jsonable_python(value)


def _length(value: object, what: str) -> timedelta:
    length = duration(value, what=f"a unique job's {what}")
    if length < _SHORTEST:
        raise ConfigurationError(f"a unique job's {what} is {value!r}; it must be at least one second")
    return length
