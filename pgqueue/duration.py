"""Lengths of time in policies and settings: a ``timedelta`` or text with its unit, never a bare number."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from pgqueue.errors import ConfigurationError

Duration = timedelta | str
"""``timedelta`` or text such as ``"500ms"``, ``"90s"``, ``"5m"``, ``"1h"``, ``"7d"``."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = re.compile(r"^\s*(\d{1,12}(?:\.\d{1,12})?)\s*(ms|s|m|h|d)\s*$")
_LONGEST = timedelta(days=3650)


def duration(value: object, *, what: str = "a duration") -> timedelta:
    """Read a duration; a bare number is refused, because its unit would be a guess.

    Raises:
        ConfigurationError: not a duration, negative, or longer than ten years.

    """
    if isinstance(value, timedelta):
        length = value
    elif isinstance(value, str) and (match := _TEXT.match(value)):
        length = timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    else:
        raise ConfigurationError(f'{what} is {value!r}; write a length of time with its unit, such as "90s" or "5m"')
    if not timedelta(0) <= length <= _LONGEST:
        raise ConfigurationError(f"{what} is {value!r}; it must lie between 0 and 3650 days")
    return length


def _validate(value: object) -> timedelta:
    try:
        return duration(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None  # pydantic collects ValueErrors, so that all faults are told at once


Seconds = Annotated[timedelta, BeforeValidator(_validate)]
"""A pydantic field that takes a `Duration`."""
