"""Drives the relay: what was committed into the outbox becomes jobs, what has become due gets a position.

Any process may do it; the one that did it last keeps the role while it can. The state that the relay returns is only
worth keeping if its transaction was committed: after any error it is forgotten, and all starts from the durable marks.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from pgqueue.wake import ready_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.settings import Settings
    from pgqueue.worker.link import Link

_BATCH = 1_000
_TERM = timedelta(seconds=2)  # a process that dies with the role costs the others at most this long
_BUSY, _IDLE = 0.005, 0.05  # seconds between rounds: the mark moves at least every 50 ms of load
_ELSEWHERE = 0.5  # another process has the role
_STUCK = 5.0  # seconds after which V that stands still is looked into


class Relay:
    """One tick: one call of the relay."""

    def __init__(self, link: Link, lifecycle: Lifecycle, settings: Settings, on_ready: Callable[[str], None]) -> None:
        """``on_ready`` hears at once of queues that got jobs; other processes hear it by NOTIFY."""
        self._link = link
        self._lifecycle = lifecycle
        self._channel = ready_channel(settings.schema_name)
        self._on_ready = on_ready
        self._state: dict[str, Any] | None = None
        self._notify = True
        self._pause = _IDLE
        self._still: dict[tuple[str, int], tuple[int, float]] = {}
        self.idle = False
        """The last round found nothing to do (or another process does it)."""
        self.moved = 0

    @property
    def has_role(self) -> bool:
        """Whether it is our process that relays."""
        return self._state is not None

    @property
    def token(self) -> int | None:
        """What proves that the role is ours."""
        return None if self._state is None else int(self._state["turn"])

    async def tick(self) -> float:
        """Relay once; returns how long to wait for the next."""
        # Should this fail, only the role is kept: what was seen is then read again from the durable marks.
        state, self._state = self._state, self._state and {"turn": self._state["turn"]}
        stuck = self._stuck()
        query = self._lifecycle.relay(
            state, batch=_BATCH, term=_TERM, wake=self._channel if self._notify else None, stuck=stuck
        )
        try:
            result = await self._link.run(query)
        except psycopg.errors.ProgramLimitExceeded:
            self._notify = False  # the notification queue is full (54000): jobs matter more than hints
            return 0
        except psycopg.errors.LockNotAvailable as error:
            structlog.get_logger("pgqueue").debug("relay.waited", error=str(error))
            return _BUSY
        self._notify = True
        self._state = result["state"]
        self.idle = bool(result.get("idle"))
        if self._state is None:
            return _ELSEWHERE
        if self.idle:
            self._pause = min(self._pause * 2, _IDLE)
            return self._pause
        self._watch(result["lagging"])
        self.moved += result["relayed"]
        for queue in result["woken"]:
            self._on_ready(queue)
        worked = result["relayed"] or result["promoted"]
        self._pause = _BUSY if worked else min(self._pause * 2, _IDLE)
        return 0 if result["more"] else self._pause

    def _watch(self, lagging: list[list[Any]]) -> None:
        """Remember since when each V stands where it stands."""
        now = time.monotonic()
        seen = {(queue, lane): v for queue, lane, v in lagging}
        self._still = {
            key: self._still[key] if self._still.get(key, (None, 0.0))[0] == v else (v, now) for key, v in seen.items()
        }

    def _stuck(self) -> list[list[Any]]:
        """Return the queues and lanes whose V has stood still for too long (a paused queue costs one look)."""
        now = time.monotonic()
        found = [key for key, (_, since) in self._still.items() if now - since > _STUCK]
        for key in found:
            self._still[key] = (self._still[key][0], now)
        return [list(key) for key in found]
