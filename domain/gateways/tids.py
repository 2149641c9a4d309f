"""Record keys of the AT Protocol: thirteen characters that sort by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_LENGTH = 13
_CLOCK_BITS = 10


def tid(now: datetime, clock: int) -> str:
    """Make a key of microseconds and a number that tells writers of one moment apart (its lowest ten bits count)."""
    number = int(now.timestamp() * 1_000_000) << _CLOCK_BITS | clock & ((1 << _CLOCK_BITS) - 1)
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
