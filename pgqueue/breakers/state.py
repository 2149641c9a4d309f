"""What a process knows of one breaker, and one call's side of pybreaker: its storage."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pybreaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
_PYBREAKER = {CLOSED: pybreaker.STATE_CLOSED, OPEN: pybreaker.STATE_OPEN, HALF_OPEN: pybreaker.STATE_HALF_OPEN}
_OURS = {theirs: ours for ours, theirs in _PYBREAKER.items()}


class View:
    """The state as this process last heard or decided; ``until``: monotonic seconds, None for ever."""

    __slots__ = ("_lock", "failures", "state", "until")

    def __init__(self) -> None:
        """Nothing bad is known."""
        self.state = CLOSED
        self.failures = 0
        self.until: float | None = 0.0
        self._lock = threading.Lock()

    def put(self, state: str, failures: int, until: float | None) -> None:
        """Take over a state."""
        with self._lock:
            self.state, self.failures, self.until = state, failures, until

    def take_probe(self, now: float, lasts: timedelta) -> bool:
        """Become the one call of this process that may probe: for when there is nobody to ask."""
        with self._lock:
            if self.state == CLOSED or self.until is None or now < self.until:
                return False
            self.state, self.until = HALF_OPEN, now + lasts.total_seconds()
            return True


class CallStorage(pybreaker.CircuitBreakerStorage):
    """What pybreaker reads and writes while it judges one call."""

    def __init__(
        self,
        state: str,
        count: Callable[[BaseException | None], int],
        clear: Callable[[], None],
        change: Callable[[str], None],
    ) -> None:
        """``state``: as the call was admitted."""
        super().__init__("pgqueue")
        self.error: BaseException | None = None
        self._state = state
        self._probes = state == HALF_OPEN
        self._count = count
        self._clear = clear
        self._change = change
        self._counter = 0
        self._successes = 0

    @property
    def state(self) -> str:
        """Return the state by pybreaker's name."""
        return _PYBREAKER[self._state]

    @state.setter
    def state(self, state: str) -> None:
        """Take pybreaker's decision."""
        self._state = _OURS[state]
        self._change(self._state)

    @property
    def counter(self) -> int:
        """Return the failures in a row."""
        return self._counter

    def increment_counter(self) -> None:
        """Count a failure; that of a probe reopens the circuit, whatever the count."""
        if not self._probes:
            self._counter = self._count(self.error)

    def reset_counter(self) -> None:
        """Count anew, unless the end of a probe does that."""
        if not self._probes and self._state == CLOSED:
            self._clear()

    @property
    def success_counter(self) -> int:
        """Return the probe's successes."""
        return self._successes

    def increment_success_counter(self) -> None:
        """Count a success."""
        self._successes += 1

    def reset_success_counter(self) -> None:
        """Count anew."""
        self._successes = 0

    @property
    def opened_at(self) -> datetime | None:
        """Return nothing: a call that is judged was admitted, and the database's clock did that."""
        return None

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        """Keep nothing: the database's clock says when."""
