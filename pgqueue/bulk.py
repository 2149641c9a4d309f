"""Rows of the outbox as the text that COPY reads.

Jobs of one class that one call enqueues differ in a few columns only: the others are written down once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.adapt import PyFormat, Transformer

from pgqueue.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.job import Job
    from pgqueue.queries.lifecycle import Own, Shared

_LANE = "1"  # of enqueue_many
_NULL = r"\N"
_AT_ONCE = 500
_RANDOM_BITS = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one call. Their trace ids share a random prefix, and then count."""

    jobs: list[Job]
    shared: Callable[[Job], Shared]
    own: Callable[[Job], Own]
    prefix: int = field(default_factory=lambda: secrets.randbits(_RANDOM_BITS) << (128 - _RANDOM_BITS))

    @property
    def first(self) -> UUID:
        """The first of the trace ids."""
        return UUID(int=self.prefix)

    @property
    def last(self) -> UUID:
        """The last of the trace ids."""
        return UUID(int=self.prefix + len(self.jobs) - 1)

    @property
    def fit_at_once(self) -> bool:
        """Whether all of them are checked before the first is sent; else what was sent has to be taken back."""
        return len(self.jobs) <= _AT_ONCE

    def pieces(self) -> Iterator[bytes]:
        """Make the lines, some hundreds at a time: PostgreSQL works on some while the next are made.

        In UTF-8, as COPY is told: the connection may speak an encoding that cannot say everything.

        Raises:
            InvalidJob: for the first job that cannot be stored; it says which.

        """
        heads: dict[type[Job], str] = {}
        for start in range(0, len(self.jobs), _AT_ONCE):
            yield "".join(
                [
                    self._line(number, job, heads)
                    for number, job in enumerate(self.jobs[start : start + _AT_ONCE], start)
                ]
            ).encode()

    def _line(self, number: int, job: Job, heads: dict[type[Job], str]) -> str:
        try:
            head = heads.get(type(job))
            if head is None:
                head = heads[type(job)] = "\t".join((_LANE, *map(_text, self.shared(job)), ""))
            own = self.own(job)
        except InvalidJob as error:
            raise type(error)(f"job number {number} of enqueue_many: {error}; none was enqueued") from error
        limits = _NULL if own.limits is None else _listed(tuple(own.limits))
        digest = _NULL if own.unique_hash is None else rf"\\x{own.unique_hash.hex()}"
        args = own.args.replace("\\", r"\\")  # JSON has no other character that COPY would read
        return f"{head}{self.prefix + number:032x}\t{limits}\t{digest}\t{args}\n"


@lru_cache(1024)
def _listed(elements: tuple[str, ...]) -> str:
    return _text(list(elements))


def _text(value: Any) -> str:
    if value is None:
        return _NULL
    dumped = value if isinstance(value, str) else Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    text = dumped if isinstance(dumped, str) else bytes(dumped or b"").decode()
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
