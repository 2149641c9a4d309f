"""What a supervisor has told one process, and what the process may still be using of it: no clock, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Limits = dict[str, int | None]

_ENDLESS = 1 << 30  # what "no limit" counts as


class Ledger:
    """Limits travel to the process and its word comes back; until then it may follow any limit it was sent."""

    def __init__(self, queues: Iterable[str]) -> None:
        """It may do nothing yet."""
        self.granted: Limits = dict.fromkeys(queues, 0)
        self.serial = 0
        """The number of the last limits sent."""
        self._peak: Limits = dict(self.granted)

    def grant(self, limits: Limits) -> bool:
        """Write down limits that are about to be sent; False: it has them already."""
        if limits == self.granted and self.serial > 0:
            return False
        self.serial += 1
        self.granted = dict(limits)
        for queue, limit in limits.items():
            if _number(limit) > _number(self._peak[queue]):
                self._peak[queue] = limit
        return True

    def heard(self, serial: int) -> None:
        """Take the process's word that it follows the limits with this number."""
        if serial == self.serial:
            self._peak = dict(self.granted)

    def held(self, queue: str) -> int:
        """Return the share that it was told last."""
        return _number(self.granted.get(queue, 0))

    def used(self, queue: str, running: int) -> int:
        """Return how many jobs it may be running; ``running``: what it said."""
        return max(running, _number(self._peak.get(queue, 0)))


def _number(limit: int | None) -> int:
    return _ENDLESS if limit is None else limit
