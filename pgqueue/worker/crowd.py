"""The seats of a supervisor: a process sits in each, is replaced when it dies, and when it shall make room."""

from __future__ import annotations

import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.worker.child import Child

_STEADY = 10.0  # seconds after which a process counts as healthy though it has had no job to end
_LONGEST = 30.0
_PATIENCE = 120.0  # seconds in which a process that replaces another must be ready
_AGAIN = 30.0  # seconds before a process is replaced that could not be
USAGE_OR_SCHEMA = (2, 3)  # a restart would end the same way


class Seat:
    """A place for one process. ``group``: which group of queues it serves."""

    def __init__(self, group: int, child: Child) -> None:
        """A process sits in it from the start."""
        self.group = group
        self.child: Child | None = child
        self.successor: Child | None = None
        """Starts while the other one still works."""
        self.deaths = 0
        self.start_at = 0.0
        self.keep_until = 0.0


class Crowd:
    """All processes of a supervisor."""

    def __init__(self, start: Callable[[], Child], *, may_end: bool) -> None:
        """``may_end``: a process that ends by itself, with 0, has done what it was for."""
        self._start = start
        self._may_end = may_end
        self._log: Any = structlog.get_logger("pgqueue")
        self._to_replace: deque[tuple[Seat, str]] = deque()
        self.seats: list[Seat] = []
        self.leaving: list[Child] = []
        """Processes that end their last jobs."""
        self.stopping = False
        self.is_ending = False
        """A process has done what it was for: no other is started."""
        self.worst = 0
        self._served = False

    def children(self) -> Iterator[Child]:
        """Return every process that has not ended."""
        for seat in self.seats:
            yield from (child for child in (seat.child, seat.successor) if child)
        yield from self.leaving

    def add(self, group: int) -> None:
        """Start one process more."""
        self.seats.append(Seat(group, self._start()))

    def remove(self, seat: Seat) -> None:
        """Let the process of a seat end its jobs and go, without another in its place."""
        self.seats.remove(seat)
        for child in (seat.child, seat.successor):
            if child:
                child.retire()
                self.leaving.append(child)

    def replace(self, seat: Seat, reason: str) -> None:
        """Have the process of a seat replaced: first the new one starts, then the old one drains. One at a time."""
        if all(waiting is not seat for waiting, _ in self._to_replace) and time.monotonic() >= seat.keep_until:
            self._to_replace.append((seat, reason))

    def signal(self) -> None:
        """Pass a signal on."""
        self.stopping = True
        for child in self.children():
            child.signal()

    def tick(self) -> None:
        """See who ended, start who is missing, go on with replacing."""
        for child in self.children():
            child.listen()
            self._served = self._served or child.is_ready
        for seat in list(self.seats):
            self._look_at(seat)
        for child in list(self.leaving):
            if (code := child.poll()) is not None:
                self.leaving.remove(child)
                if self.stopping:
                    self._count(code)
                elif code:
                    self._log.error("process.died", pid=child.process.pid, code=code, restartInSeconds=None)
        self._go_on_replacing()

    def _look_at(self, seat: Seat) -> None:
        if seat.child is not None:
            if (code := seat.child.poll()) is not None:
                self._ended(seat, seat.child, code)
        elif self.stopping:
            self.remove(seat)  # its process had died, and is not started again
        elif seat.successor is None and time.monotonic() >= seat.start_at:
            seat.child = self._start()

    def _ended(self, seat: Seat, child: Child, code: int) -> None:
        done = code == 0 and self._may_end
        if self.stopping or done or (code in USAGE_OR_SCHEMA and not self._served):
            self.is_ending = self.is_ending or done
            self._count(code)
            seat.child = None
            self.remove(seat)
            return
        # what ends jobs is no process that cannot start: its queues must not wait for it longer with each death
        if child.jobs or time.monotonic() - child.started > _STEADY:
            seat.deaths = 0
        delay = min(0.2 * 2**seat.deaths, _LONGEST)
        seat.deaths += 1
        seat.child, seat.start_at = None, time.monotonic() + delay
        self._log.error("process.died", pid=child.process.pid, code=code, restartInSeconds=delay)

    def _count(self, code: int) -> None:
        """Remember the worst code; one that a signal ended before it could listen to signals had claimed nothing."""
        early = self.stopping and code == -signal.SIGTERM
        self.worst = max(self.worst, 0 if early else code if code >= 0 else 1)

    def _go_on_replacing(self) -> None:
        while self._to_replace and self._to_replace[0][0] not in self.seats:
            self._to_replace.popleft()
        if not self._to_replace or self.stopping:
            return
        seat, reason = self._to_replace[0]
        if seat.successor is None:
            if seat.child is not None and seat.child.is_ready:
                seat.successor = self._start()
            elif seat.child is None:
                self._to_replace.popleft()  # it died, and another is about to start anyway
        elif (code := seat.successor.poll()) is not None:
            self._abort(seat, code)
        elif seat.successor.is_ready:
            self._hand_over(seat, reason)
        elif time.monotonic() - seat.successor.started > _PATIENCE:
            seat.successor.signal()

    def _hand_over(self, seat: Seat, reason: str) -> None:
        old, seat.child, seat.successor = seat.child, seat.successor, None
        self._to_replace.popleft()
        if old:
            megabytes = old.report.memory // 1_048_576 if old.report else None
            self._log.info(
                "process.replaced", pid=old.process.pid, reason=reason, jobs=old.jobs, memoryMegabytes=megabytes
            )
            old.retire()
            self.leaving.append(old)

    def _abort(self, seat: Seat, code: int) -> None:
        """What replaces the others would end like this one: they go on as they are."""
        self._log.error(
            "replace.aborted", code=code, waiting=len(self._to_replace), hint="the processes go on as they were"
        )
        seat.successor = None
        for waiting, _ in self._to_replace:
            waiting.keep_until = time.monotonic() + _AGAIN
        self._to_replace.clear()
