"""Looks, every 50 ms, at deadlines, leases, jobs that do not end, and whether anything is left to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.worker.process import Worker

_EVERY = 0.05  # seconds
_DEAF = 5.0  # seconds after which a task that was told to end is given up
_DEAF_POLL = 0.5  # seconds between polls of a worker that hears no wake-ups


class Watch:
    """The worker's watchdog; it runs in the event loop, so `Guard` watches over it in turn."""

    def __init__(self, worker: Worker, on_watch: Callable[[], None], *, until_empty: bool) -> None:
        """Look at nothing yet."""
        self._worker = worker
        self._on_watch = on_watch
        self._until_empty = until_empty
        self._in_danger = False
        self._next_poll = 0.0
        self._empty_since: float | None = None
        self.looked: float | None = None
        """When it looked last (None: it does not): as long as this grows, the event loop is not blocked."""

    async def tick(self) -> float:
        """Look once."""
        worker, now = self._worker, time.monotonic()
        self._guard_leases(now)
        self._end_overdue(now)
        worker.slots.measure(now - (self.looked or now))
        self.looked = now
        self._on_watch()
        worker.steering.look()
        if now >= self._next_poll:
            poll = worker.settings.poll.total_seconds()
            self._next_poll = now + (poll if worker.wakeups.arriving else min(poll, _DEAF_POLL))
            worker.slots.wake()
            worker.pump_loop.wake()
        if self._until_empty and await self._is_empty():
            worker.stop()
        return _EVERY

    def _end_overdue(self, now: float) -> None:
        worker = self._worker
        for running in list(worker.runner.running.values()):
            if now > running.deadline:
                running.stop("timeout")
            if running.stopped is not None and now > running.stopped_at + _DEAF:
                worker.crew.abandon(running)
        if reason := worker.runner.leftovers.too_many():
            worker.recycle(reason)

    def _guard_leases(self, now: float) -> None:
        """Judge by elapsed time, and not in the heartbeat's thread: it may be stuck, or the process was frozen."""
        worker = self._worker
        longest = worker.settings.lease.total_seconds() * 2 / 3
        late = worker.heartbeat is not None and now - worker.heartbeat.last > longest
        if late and not self._in_danger:
            self._lease_in_danger()
        if worker.heartbeat is not None and not worker.heartbeat.alive:
            worker.recycle("the thread that renews the leases has ended")
        self._in_danger = late

    def _lease_in_danger(self) -> None:
        """No heartbeat for too long: stop before another worker begins."""
        worker = self._worker
        structlog.get_logger("pgqueue").error("worker.lease_in_danger", running=len(worker.runner.running))
        for claimed in worker.slots.drain():
            worker.pump.held.pop(claimed.id, None)
        for running in list(worker.runner.running.values()):
            running.stop("lease")

    async def _is_empty(self) -> bool:
        """Nothing is left here, and each source was looked at after that: a job may have enqueued there last."""
        carriers = self._worker.carriers
        # asked before: what somebody carries after a look at the source is found here
        looked = carriers.are_empty(self._empty_since or time.monotonic())
        if await self._work_left():
            self._empty_since = None
            return False
        self._empty_since = self._empty_since or time.monotonic()
        return looked

    async def _work_left(self) -> bool:
        worker = self._worker
        if not worker.slots.idle or worker.pump.pending or worker.pump.held:
            return True
        left: list[Any] = await worker.links[2].run(worker.upkeep.work_left(list(worker.slots.lanes)))
        if left[0]:
            worker.slots.wake()
            worker.pump_loop.wake()
            worker.relay_loop.wake()
        return bool(left[0])
