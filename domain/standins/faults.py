"""Switches: the next N calls go wrong in a chosen way."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

Kind = Literal["drop", "slow", "rate_limit", "unauthorized", "error", "reject", "garbage", "drip"]
FOR_EVER = -1


@dataclass(slots=True)
class Fault:
    """One switch.

    drop: the request is done, the answer never sent. slow: the request is done, the answer comes ``seconds`` later.
    garbage: the request is done, the answer makes no sense. drip: done, the answer comes byte by byte.
    rate_limit: refused, come back in ``seconds``. unauthorized, error, reject: refused for good, or by accident.
    """

    kind: Kind
    calls: int = 1
    seconds: float = 1.0
    fresh: bool = False
    """Spoil only calls with a key that was never sent before."""
    path: str = ""
    """Spoil only calls to addresses with this in them."""


class Faults:
    """The switches of one stand-in; each counts down the calls it spoils."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def set(self, kind: Kind, *, calls: int = 1, seconds: float = 1.0, fresh: bool = False, path: str = "") -> None:
        """Spoil the next ``calls`` calls (``FOR_EVER``: all of them until `clear`)."""
        with self._lock:
            self._waiting.append(Fault(kind, calls, seconds, fresh, path))

    def waiting(self) -> int:
        """Return how many faults have not spoiled all their calls yet."""
        with self._lock:
            return len(self._waiting)

    def clear(self) -> None:
        """Let everything work again."""
        with self._lock:
            self._waiting.clear()

    def take(self, *, seen: bool = False, stored: bool = False, path: str = "") -> Fault | None:
        """Return the fault of this call, if it has one.

        ``seen``: a call with this key came before. ``stored``: it was even done; a server that keeps keys answers
        such a call from memory and has nothing left to refuse.
        """
        with self._lock:
            if not self._waiting:
                return None
            fault = self._waiting[0]
            if fault.path not in path or (fault.fresh and seen) or (fault.kind == "reject" and stored):
                return None
            if fault.calls != FOR_EVER:
                fault.calls -= 1
                if fault.calls <= 0:
                    self._waiting.pop(0)
            return fault
