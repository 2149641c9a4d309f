"""How often a post is asked about: less and less as it grows old, then never again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

Ladder = Sequence[tuple[timedelta, timedelta]]
"""Up to which age: how long until the next time."""

METRICS: Final[Ladder] = (
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(days=7), timedelta(hours=6)),
    (timedelta(days=30), timedelta(days=1)),
    (timedelta(days=90), timedelta(days=7)),
)
COMMENTS: Final[Ladder] = (
    (timedelta(days=1), timedelta(minutes=10)),
    (timedelta(days=7), timedelta(hours=1)),
    (timedelta(days=30), timedelta(days=1)),
)
_SPREAD = 0.1


def next_wait(ladder: Ladder, age: timedelta) -> timedelta | None:
    """Return how long until the next time, a tenth more or less; None: it is too old."""
    for until, wait in ladder:
        if age < until:
            # so that what was published at the full hour is not asked about at every full hour
            return wait * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - it spreads load and guards nothing
    return None
