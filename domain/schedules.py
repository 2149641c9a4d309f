"""What recurs, in UTC: one job for each tick, however many workers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.models import SYSTEM_ORGANIZATION, SYSTEM_USER
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue import Schedule

SYSTEM: Final = Context(str(SYSTEM_ORGANIZATION), str(SYSTEM_USER))

PUBLISHING: Sequence[Schedule] = []

SCHEDULES: Final[Sequence[Schedule]] = [
    *PUBLISHING,
]
