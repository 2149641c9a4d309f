"""Which claimed job starts next, and how many more may be claimed: no clock, no I/O.

``workers`` of a queue is how many of its jobs run at once here; the order of queues decides who fills free shared
slots; every queue keeps at least one slot. A limit may change at any time; with 0 a queue is not served here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.outcome import Claimed

MOST_BUFFERED = 1_000
_AHEAD = 0.05  # seconds of work that are claimed ahead: enough to hide the database's answer, little to give back


class Lane:
    """One queue in this process."""

    __slots__ = ("buffer", "done", "hopeful", "limit", "name", "rate", "running")

    def __init__(self, name: str) -> None:
        """Start empty and hopeful: nobody knows yet whether there are jobs."""
        self.name = name
        self.limit = 0
        self.buffer: deque[Claimed] = deque()
        self.running = 0
        self.hopeful = True
        self.done = 0
        self.rate = 0.0

    def ahead(self) -> int:
        """Return how many jobs to hold ready beside those that run: what a twentieth of a second takes."""
        return min(MOST_BUFFERED, int(self.rate * _AHEAD))


class Slots:
    """The slots of one process."""

    def __init__(self, limits: Mapping[str, int | None], concurrency: int) -> None:
        """Queues in their order of priority, each with its ``workers`` (None: no limit of its own)."""
        self.size = max(concurrency, len(limits))
        self.lanes = {name: Lane(name) for name in limits}
        self.running = 0
        self._resting = 0  # served queues with nothing running: one slot is kept for each
        self.limit(limits)

    def limit(self, limits: Mapping[str, int | None]) -> None:
        """Take these limits from now on (None: no limit; a queue left out keeps its own). What runs goes on."""
        for name, limit in limits.items():
            lane = self.lanes[name]
            before, lane.limit = lane.limit, self.size if limit is None else min(limit, self.size)
            lane.hopeful = lane.hopeful or lane.limit > before
        self._resting = sum(lane.limit > 0 and lane.running == 0 for lane in self.lanes.values())

    def withdraw(self) -> list[Claimed]:
        """Return what is at hand of queues that are not served any more, to be given back."""
        found = [job for lane in self.lanes.values() if lane.limit == 0 for job in lane.buffer]
        for lane in self.lanes.values():
            if lane.limit == 0:
                lane.buffer.clear()
        return found

    @property
    def served(self) -> list[str]:
        """The queues that are served, most important first."""
        return [name for name, lane in self.lanes.items() if lane.limit > 0]

    def take(self) -> Claimed | None:
        """Return the next job that may start, and count it as running."""
        for lane in self.lanes.values():
            if lane.buffer and lane.running < lane.limit and self._has_slot(lane):
                if lane.running == 0:
                    self._resting -= 1
                lane.running += 1
                self.running += 1
                return lane.buffer.popleft()
        return None

    def _has_slot(self, lane: Lane) -> bool:
        return lane.running == 0 or self.running + self._resting < self.size

    def free(self, queue: str) -> None:
        """Count a job as ended."""
        lane = self.lanes[queue]
        lane.running -= 1
        lane.done += 1
        self.running -= 1
        if lane.running == 0 and lane.limit > 0:
            self._resting += 1

    def room(self) -> dict[str, int]:
        """Return how many jobs to claim from each queue that may have some."""
        shared = self.size - self.running - self._resting
        room: dict[str, int] = {}
        for lane in self.lanes.values():
            if lane.limit == 0:
                continue
            own = 1 if lane.running == 0 else 0
            can = max(min(lane.limit - lane.running, own + max(shared, 0)), 0)
            wanted = can + lane.ahead() - len(lane.buffer)
            if lane.hopeful or lane.buffer:
                shared -= max(can - own, 0)
            # Asking for a handful while hundreds are at hand would only make statements.
            if lane.hopeful and wanted > 0 and (wanted * 2 >= can + lane.ahead() or not lane.buffer):
                room[lane.name] = wanted
        return room

    def put(self, claimed: list[Claimed], asked: Mapping[str, int]) -> None:
        """Take over what was claimed; a queue that gave less than asked is empty until something wakes it."""
        got = dict.fromkeys(asked, 0)
        for job in claimed:
            self.lanes[job.queue].buffer.append(job)
            got[job.queue] += 1
        for name, wanted in asked.items():
            self.lanes[name].hopeful = got[name] >= wanted

    def wake(self, queue: str | None = None) -> None:
        """There may be jobs (None: in any queue)."""
        for lane in self.lanes.values():
            if queue in (None, lane.name):
                lane.hopeful = True

    def measure(self, seconds: float) -> None:
        """Learn how fast each queue's jobs end; called every few tens of milliseconds."""
        for lane in self.lanes.values():
            rate = lane.done / seconds if seconds > 0 else 0.0
            lane.rate = rate if rate > lane.rate else lane.rate * 0.8 + rate * 0.2
            lane.done = 0

    def drain(self) -> list[Claimed]:
        """Return everything that was claimed and not started."""
        waiting = [job for lane in self.lanes.values() for job in lane.buffer]
        for lane in self.lanes.values():
            lane.buffer.clear()
        return waiting

    @property
    def busy(self) -> bool:
        """Something runs or is about to: more outcomes will come soon."""
        return self.running > 0 or any(lane.buffer for lane in self.lanes.values())

    @property
    def idle(self) -> bool:
        """Nothing runs, nothing is at hand, and no queue is known to have anything."""
        waiting = any(lane.buffer or (lane.hopeful and lane.limit > 0) for lane in self.lanes.values())
        return self.running == 0 and not waiting
