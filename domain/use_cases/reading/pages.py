"""Lists by pages. A page is found by the last row of the one before, however many rows come and go meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import tuple_

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Select
    from sqlalchemy.orm import InstrumentedAttribute

    from domain.unit_of_work import UnitOfWork

MOST = 100
_LONGEST_CURSOR = 500
_READERS: dict[type, Callable[[str], Any]] = {
    UUID: UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    str: str,
}

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class InvalidCursor(Exception):
    """Text that is no place in this list."""

    def __init__(self) -> None:
        super().__init__("this cursor is none of this list; take next_cursor of a page, or leave it out")


class NotFound(Exception):
    """There is no such thing in this organization."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page: at most ``limit`` rows (1 to 100) after the place that ``cursor`` names; None: from the start."""

    limit: int = 25
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some rows, newest first; ``next_cursor`` None: there are no more."""

    items: Sequence[T_co]
    next_cursor: str | None


async def page(
    uow: UnitOfWork, query: Select[T], order: Sequence[InstrumentedAttribute[Any]], wanted: Wanted
) -> Page[T]:
    """Read one page of a list that is in descending order of these columns, the last of them unique."""
    if wanted.cursor is not None:
        query = query.where(tuple_(*order) < tuple_(*_opened(wanted.cursor, order)))
    limit = min(max(wanted.limit, 1), MOST)
    found = await uow.session.scalars(query.order_by(*(column.desc() for column in order)).limit(limit + 1))
    rows = found.all()
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], _closed([getattr(rows[limit - 1], column.key) for column in order]))


def _closed(values: Sequence[Any]) -> str:
    texts = [value.isoformat() if isinstance(value, date) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(texts, separators=(",", ":")).encode()).decode().rstrip("=")


def _opened(cursor: str, order: Sequence[InstrumentedAttribute[Any]]) -> list[Any]:
    try:
        if len(cursor) > _LONGEST_CURSOR:
            raise InvalidCursor
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        texts = json.loads(content)
        types = [column.type.python_type for column in order]
        if not isinstance(texts, list) or not all(isinstance(text, str) and "\x00" not in text for text in texts):
            raise InvalidCursor
        values = [_READERS[kind](text) for kind, text in zip(types, texts, strict=True)]
    except (ValueError, RecursionError, binascii.Error) as error:
        raise InvalidCursor from error
    if any(isinstance(value, datetime) and value.tzinfo is None for value in values):
        raise InvalidCursor
    return values
