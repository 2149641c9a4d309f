"""Amounts of memory in policies and settings: text with its unit, never a bare number."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

from pgqueue.errors import ConfigurationError

_UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
_TEXT = re.compile(r"^\s*(\d{1,9}(?:\.\d{1,3})?)\s*(KB|MB|GB)\s*$", re.IGNORECASE)
_LEAST, _MOST = 1024**2, 1024**4


def size(value: object, *, what: str = "a size") -> int:
    """Read an amount of memory such as ``"512MB"`` (1 MB is 1024 KB) and return bytes.

    Raises:
        ConfigurationError: not text with a unit, below 1 MB or above 1024 GB.

    """
    match = _TEXT.match(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigurationError(f'{what} is {value!r}; write text with a unit, such as "512MB" or "2GB"')
    amount = int(float(match[1]) * _UNITS[match[2].upper()])
    if not _LEAST <= amount <= _MOST:
        raise ConfigurationError(f"{what} is {value!r}; it must lie between 1MB and 1024GB")
    return amount


def _validate(value: object) -> int:
    if type(value) is int:  # read before: settings are made again from settings
        return value
    try:
        return size(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None  # pydantic collects ValueErrors, so that all faults are told at once


Bytes = Annotated[int, BeforeValidator(_validate)]
"""A pydantic field that takes what `size` reads."""
