"""What a worker process is told while it runs: its limits, to drain, to be replaced; and what it reports."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue.outcome import give_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.queries.supervision import Orders
    from pgqueue.telemetry import Samples
    from pgqueue.worker.heartbeat import Heartbeat
    from pgqueue.worker.line import Line
    from pgqueue.worker.pump import Pump
    from pgqueue.worker.slots import Slots

_PAUSE = 0.02  # seconds between looks for the first limits
_REPORT = 1.0  # seconds between reports of which nothing but age and memory is new


class Steering:
    """Applies orders to the slots. Under a supervisor the limits come from there, else from settings and overrides."""

    def __init__(
        self,
        slots: Slots,
        pump: Pump,
        configured: Mapping[str, int | None],
        line: Line | None,
        *,
        on_change: Callable[[], None],
        retire: Callable[[], None],
    ) -> None:
        """``configured``: each queue's ``workers``; ``retire`` ends the process when its jobs have ended."""
        self._slots = slots
        self._pump = pump
        self._on_change = on_change
        self._configured = dict(configured)
        self._allowed: dict[str, int | None]
        self._line = line
        self._retire = retire
        self._orders: Orders | None = None
        self._seen = 0.0
        self._serial = 0
        self._told: dict[str, Any] = {}
        self._told_at = 0.0
        self.heartbeat: Heartbeat | None = None
        self.pace = Pace()
        self.draining = False
        """Asked to start nothing more: the process lives on, without a queue."""
        self._allowed = dict(configured) if line is None else dict.fromkeys(slots.lanes, 0)
        slots.limit(self._allowed)

    async def begin(self, orders: Awaitable[Orders], stopping: asyncio.Event) -> None:
        """Follow the first orders, and under a supervisor wait for the first limits: nothing may be claimed before."""
        self.look(await orders)
        while self._line is not None and self._serial == 0 and not stopping.is_set():
            await asyncio.sleep(_PAUSE)
            self.look()

    def ask(self) -> None:
        """Have the orders read now."""
        if self.heartbeat:
            self.heartbeat.soon()

    def look(self, orders: Orders | None = None) -> None:
        """Follow new orders and the supervisor, and report to it."""
        changed = orders is not None and self._follow(orders)
        for message in self._line.receive() if self._line else ():
            if "limits" in message:
                self._serial = message["serial"]
                self._allowed = message["limits"]
                changed = True
            if message.get("retire"):
                self._retire()
        if changed:
            self._slots.limit(dict.fromkeys(self._slots.lanes, 0) if self.draining else self._allowed)
            self._on_change()
            self.ask()  # the worker's row tells which queues it serves
        for claimed in self._slots.withdraw():
            self._pump.add(give_back(claimed))
        self._report()

    def _follow(self, orders: Orders) -> bool:
        self._seen = time.monotonic()  # the same clock for all processes of a machine
        before, self._orders = self._orders, orders
        log = structlog.get_logger("pgqueue")
        if orders.asked == "drain" and not self.draining:
            self.draining = True
            if self.heartbeat:
                self.heartbeat.draining = True
            log.info("worker.draining", hint="asked to start nothing more; `pgqueue workers restart` replaces it")
        if self._line is None:
            self._allowed = {name: orders.workers.get(name, workers) for name, workers in self._configured.items()}
            if orders.asked == "restart" and (before is None or before.asked != "restart"):
                log.info("worker.retiring", hint="asked to restart: it ends its jobs and goes")
                self._retire()
        return before is None or (before.asked, before.workers) != (orders.asked, orders.workers)

    def _report(self) -> None:
        if self._line is None or self._orders is None or not self._line.is_free:
            return
        lanes = self._slots.lanes
        told = {
            "running": {name: lane.running for name, lane in lanes.items()},
            "serial": self._serial,
            "orders": self._orders._asdict(),
            "seen": self._seen,
            "draining": self.draining,
        }
        now = time.monotonic()
        if told != self._told or now > self._told_at + _REPORT:
            self._told, self._told_at = told, now
            self._line.send(told | {"memory": resident_bytes(), "pace": self.pace.done})


class Pace:
    """Counts what this process ran, and how long that took: an onlooker."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.done: dict[str, tuple[int, float]] = {}
        """Jobs and seconds, by queue."""

    def started(self, job: Claimed) -> None:
        """Nothing to count."""

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Count it, however it ended."""
        del settlement
        jobs, total = self.done.get(job.queue, (0, 0.0))
        self.done[job.queue] = jobs + 1, total + seconds

    def lease_lost(self, job: Claimed) -> None:
        """Nothing to count."""

    def crashed(self, job: Claimed) -> None:
        """Nothing."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Nothing to count."""

    def missed(self, schedule: str, ticks: int) -> None:
        """Nothing to count."""

    def sampled(self, samples: Samples | None) -> None:
        """Nothing to count."""


def resident_bytes() -> int:
    """Return how much memory of this process is resident; where the system does not say, its highest so far."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except OSError:
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return highest if sys.platform == "darwin" else highest * 1024
