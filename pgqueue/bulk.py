"""Rows of the outbox as the text that COPY reads.

Jobs of one class that one call enqueues differ in a few columns only: the others are written down once.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.adapt import PyFormat, Transformer

from pgqueue.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pgqueue.job import Job
    from pgqueue.queries.lifecycle import Own, Shared

_LANE = "1"  # of enqueue_many
_NULL = r"\N"
_AT_ONCE = 500  # rows handed to the driver in one piece
_RANDOM_BITS = 64


def rows(
    jobs: Iterable[Job], shared: Callable[[Job], Shared], own: Callable[[Job], Own]
) -> tuple[list[str], UUID, UUID]:
    """Return a line for each job, and the first and the last of their trace ids: a random prefix, then the number.

    Raises:
        InvalidJob: for the first job that cannot be stored; it says which.

    """
    first = secrets.randbits(_RANDOM_BITS) << (128 - _RANDOM_BITS)
    heads: dict[type[Job], str] = {}
    lines: list[str] = []
    for job in jobs:
        try:
            head = heads.get(type(job))
            if head is None:
                head = heads[type(job)] = "\t".join((_LANE, *map(_text, shared(job)), ""))
            lines.append(_line(head, first + len(lines), own(job)))
        except InvalidJob as error:
            raise type(error)(f"job number {len(lines)} of enqueue_many: {error}; none was enqueued") from error
    return lines, UUID(int=first), UUID(int=first + max(len(lines) - 1, 0))


def pieces(lines: list[str]) -> Iterator[str]:
    """Return the lines in pieces of some size."""
    for start in range(0, len(lines), _AT_ONCE):
        yield "".join(lines[start : start + _AT_ONCE])


def _line(head: str, trace: int, own: Own) -> str:
    limits = _NULL if own.limits is None else _listed(tuple(own.limits))
    digest = _NULL if own.unique_hash is None else rf"\\x{own.unique_hash.hex()}"
    args = own.args.replace("\\", r"\\")  # JSON has no other character that COPY would read
    return f"{head}{trace:032x}\t{limits}\t{digest}\t{args}\n"


@lru_cache(1024)
def _listed(elements: tuple[str, ...]) -> str:
    return _text(list(elements))


def _text(value: Any) -> str:
    if value is None:
        return _NULL
    dumped = value if isinstance(value, str) else Transformer().get_dumper(value, PyFormat.TEXT).dump(value)
    text = dumped if isinstance(dumped, str) else bytes(dumped or b"").decode()
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
