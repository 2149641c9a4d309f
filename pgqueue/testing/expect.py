"""What a test expects to be enqueued, and a message that shows what is there instead."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic_core import to_jsonable_python

from pgqueue.duration import Duration, duration
from pgqueue.errors import InvalidJob
from pgqueue.job import Job
from pgqueue.secret import redact, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pgqueue.queries.testing import Waiting

J = TypeVar("J", bound=Job)
_SHOWN = 20


@dataclass(frozen=True)
class Expected(Generic[J]):
    """A kind, and what its jobs must be like."""

    kind: type[J]
    fields: Mapping[str, Any] = field(default_factory=dict)
    where: Callable[[J], bool] | None = None
    queue: str | None = None
    run_at: datetime | None = None
    run_in: Duration | None = None
    within: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        """Refuse a field that the kind does not have: nothing could ever match."""
        unknown = sorted(self.fields.keys() - self.kind.model_fields.keys())
        if unknown:
            known = ", ".join(self.kind.model_fields) or "none"
            raise InvalidJob(f"{self.kind.__name__} has no field {unknown[0]!r}; its fields: {known}")
        if self.run_at is not None and self.run_at.tzinfo is None:
            raise InvalidJob("run_at has no time zone; give an aware datetime")

    def faults(self, row: Waiting) -> list[str]:
        """Say what of a job of this kind is not as expected."""
        args = json.loads(row.args)
        found = []
        for name, value in self.fields.items():
            expected = to_jsonable_python(value)
            if args.get(name) != expected:
                found.append(f"{name} is {_brief(name, args.get(name))}, not {_brief(name, expected)}")
        if self.queue is not None and row.queue != self.queue:
            found.append(f"queue is {row.queue!r}, not {self.queue!r}")
        found += self._time(row)
        if self.where is not None and not found and not self.where(self.job(row)):
            found.append("where(job) is false")
        return found

    def _time(self, row: Waiting) -> list[str]:
        found = []
        if self.run_at is not None and (row.run_at is None or abs(row.run_at - self.run_at) > self.within):
            found.append(f"run_at is {row.run_at and row.run_at.isoformat()}, not {self.run_at.isoformat()}")
        if self.run_in is not None:
            seconds = duration(self.run_in, what="run_in").total_seconds()
            if abs((row.run_in or 0.0) - seconds) > self.within.total_seconds():
                found.append(f"it runs in {row.run_in or 0.0:g} s, not in {seconds:g} s")
        return found

    def job(self, row: Waiting) -> J:
        """Read the job back."""
        if row.payload_version != self.kind.policy.version:
            return self.kind.model_validate(self.kind.upgrade(json.loads(row.args), row.payload_version))
        return self.kind.model_validate_json(row.args)

    def __str__(self) -> str:
        """Show the kind as it would be written, with what else is expected."""
        said = ", ".join(f"{name}={_brief(name, value)}" for name, value in self.fields.items())
        more = [
            f"{name}={value!r}"
            for name, value in (("queue", self.queue), ("run_at", self.run_at), ("run_in", self.run_in))
            if value is not None
        ]
        return f"{self.kind.kind}({said})" + (f" with {', '.join(more)}" if more else "")


def matching(expected: Expected[J], rows: Sequence[Waiting]) -> list[J]:
    """Return the jobs that are as expected."""
    return [expected.job(row) for row in rows if row.kind == expected.kind.kind and not expected.faults(row)]


def checked(expected: Expected[J], rows: Sequence[Waiting], count: int | None) -> list[J]:
    """Return the jobs that are as expected. Raises AssertionError unless there are ``count`` (None: any)."""
    found = matching(expected, rows)
    if found and count in (None, len(found)):
        return found
    if count == 0 and not found:
        return []
    wanted = "at least 1" if count is None else str(count)
    raise AssertionError(
        f"expected {wanted} of {expected}, found {len(found)}\n{_nearest(expected, rows)}{shown(rows)}"
    )


def refused(expected: Expected[J], rows: Sequence[Waiting]) -> None:
    """Raise AssertionError if a job is as described."""
    if found := matching(expected, rows):
        raise AssertionError(f"expected no {expected}, found {len(found)}\n{shown(rows)}")


def _nearest(expected: Expected[Any], rows: Sequence[Waiting]) -> str:
    """Show the job of the kind that has the fewest faults."""
    misses = sorted(
        ((faults, row) for row in rows if row.kind == expected.kind.kind and (faults := expected.faults(row))),
        key=lambda miss: len(miss[0]),
    )
    return f"nearest: job {misses[0][1].id}: {'; '.join(misses[0][0])}\n" if misses else ""


def shown(rows: Sequence[Waiting]) -> str:
    """Show what is enqueued, a line for each."""
    if not rows:
        return "nothing is enqueued"
    lines = [f"  {_line(row)}" for row in rows[:_SHOWN]]
    more = [f"  and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return "\n".join(["enqueued:", *lines, *more])


def _line(row: Waiting) -> str:
    args = ", ".join(f"{name}={_brief(name, value)}" for name, value in json.loads(row.args).items())
    when = f", in {row.run_in:g} s" if row.run_in else ""
    return f"{row.id} {row.kind}({args}) queue={row.queue} {row.state}{when} for {row.organization_id}/{row.user_id}"


def _brief(name: str, value: object) -> str:
    text = redact(repr(redacted({name: value})[name]))  # type: ignore[index]  # of a dict it makes a dict
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 - a line
