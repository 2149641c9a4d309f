"""What JSON of requests and answers is made of."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from domain.use_cases.reading import pages

# They show text in another order than it is stored: what a reviewer sees is not what is published.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class Model(BaseModel):
    """An object that a client sends: nothing more than is known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class View(BaseModel):
    """An object that a client gets, read from what a use case returned."""

    model_config = ConfigDict(from_attributes=True)


class Accepted(View):
    """It is noted; what follows from it happens later, and cannot be asked for here."""

    status: Literal["accepted"] = "accepted"


class PageOf(BaseModel, Generic[T]):
    """Some of a list, newest first."""

    items: list[T]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: this is the last one.")


def page_of(view: type[ViewT], page: pages.Page[object]) -> PageOf[ViewT]:
    """Show a page."""
    return PageOf(items=seen(view, page.items), next_cursor=page.next_cursor)


def seen(view: type[ViewT], rows: Sequence[object]) -> list[ViewT]:
    """Show rows."""
    return [view.model_validate(row) for row in rows]


ViewT = TypeVar("ViewT", bound=View)


def _storable(text: str) -> str:
    for character in text:
        if character == "\x00" or (character not in "\t\n\r" and unicodedata.category(character) == "Cc"):
            raise PydanticCustomError("control_character", "the text holds a control character")
        if "\ud800" <= character <= "\udfff":
            raise PydanticCustomError("surrogate", "the text holds half a character (a lone surrogate)")
        if character in _BIDI:
            raise PydanticCustomError("bidi", "the text holds a character that changes the direction of others")
    return text


def _written(value: object) -> object:
    # numbers would be taken for seconds since 1970
    if not isinstance(value, str | date):
        raise PydanticCustomError("text_wanted", "write it as text (RFC 3339)")
    return value


def _near(value: datetime) -> datetime:
    if not _FIRST <= value < _LAST:
        raise PydanticCustomError("too_far", "the time has to be between the years 2000 and 2100")
    return value


def _near_on_the_wall(value: datetime) -> datetime:
    _near(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value


def _near_day(value: date) -> date:
    if not _FIRST.date() <= value < _LAST.date():
        raise PydanticCustomError("too_far", "the day has to be between the years 2000 and 2100")
    return value


# The same for clients that read the description; a lone surrogate cannot be written in one.
_DESCRIBED = {"pattern": r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]*$"}
Text = Annotated[str, AfterValidator(_storable), Field(json_schema_extra=_DESCRIBED)]
Word = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_near)]
WallOrMoment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_near_on_the_wall)]
Day = Annotated[date, BeforeValidator(_written), AfterValidator(_near_day)]
