"""One worker process: starts everything, hands jobs to its runners, drains, leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from pgqueue import outcome as fate
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queries.supervision import Supervision
from pgqueue.queries.upkeep import Upkeep
from pgqueue.worker.alerting import Alerting
from pgqueue.worker.burial import Burial
from pgqueue.worker.carrier import Carriers
from pgqueue.worker.children.start import isolate, warm
from pgqueue.worker.crew import Crew
from pgqueue.worker.engines import Engines
from pgqueue.worker.heartbeat import Heartbeat
from pgqueue.worker.link import Link
from pgqueue.worker.loop import Loop
from pgqueue.worker.pump import Pump
from pgqueue.worker.relay import Relay
from pgqueue.worker.runner import Runner
from pgqueue.worker.scheduler import schedule_loop
from pgqueue.worker.slots import Slots
from pgqueue.worker.start import leave, open_handle, ready_database, register, registration
from pgqueue.worker.steering import Steering
from pgqueue.worker.upkeep import Keeper
from pgqueue.worker.wakeups import Wakeups
from pgqueue.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.app import App
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.line import Line

DRAINED, GAVE_BACK = 0, 1
_SOON = 0.01  # seconds between looks while draining
_PATIENCE = 5.0  # seconds that a job which was told to end may take


class Worker:
    """Serves queues until told to stop."""

    def __init__(
        self,
        app: App,
        url: str,
        limits: Mapping[str, int | None],
        telemetry: Telemetry,
        *,
        until_empty: bool = False,
        on_watch: Callable[[], None] = lambda: None,
        line: Line | None = None,
    ) -> None:
        """Open nothing. ``limits``: queues, most important first, with their ``workers``; ``line``: to a supervisor."""
        settings = app.settings
        self.id = uuid4()  # new for each start: a name that comes again would make a dead worker look alive
        self.app, self.url, self.settings = app, url, settings
        self.lifecycle, self.upkeep = Lifecycle(settings.schema_name), Upkeep(settings.schema_name)
        self.telemetry = telemetry
        self.slots = Slots(limits, settings.concurrency)
        self.engines = Engines(url, self.slots.size, app.engine, app.async_engine)
        self.runner = Runner(app, settings, self.engines, self.lifecycle, telemetry)
        self.children = isolate(self.runner, app, url, settings)
        self.burial = Burial(app, self.engines, self.lifecycle, self.runner.threads)
        self.links = [Link(url, settings, name) for name in ("pump", "relay", "upkeep", "schedules")]
        self.pump = Pump(self.id, self.links[0], self.lifecycle, self.slots, settings=settings, telemetry=telemetry)
        self.pump.on_again = lambda job_id: self._end_run(job_id, "lease")
        self.relay = Relay(self.links[1], self.lifecycle, settings, self._ready)
        self.keeper = Keeper(self.links[2], self.upkeep, settings, telemetry, app.dead_kept())
        self.alerting = Alerting(self.links[2], settings, telemetry, lambda: self.keeper.token is not None)
        self.pump_loop = Loop("pump", self._pump, on_lost=self.links[0].renew)
        self.crew = Crew(
            self.slots,
            self.runner,
            self.burial,
            self.pump,
            settings=settings,
            telemetry=telemetry,
            on_outcome=self.pump_loop.wake,
        )
        self.relay_loop = Loop("relay", self.relay.tick, on_lost=self.links[1].renew)
        self.upkeep_loop = Loop("upkeep", self.keeper.tick, on_lost=self.links[2].renew)
        self.watch = Watch(self, on_watch, until_empty=until_empty)
        self.watch_loop = Loop("watch", self.watch.tick)
        self.carriers = Carriers(url, settings, self._ready)
        cron = schedule_loop(app, self.links[3], self.links[2], telemetry, on_fired=self.relay_loop.wake)
        self.loops = [self.pump_loop, self.relay_loop, self.upkeep_loop, cron, self.watch_loop, *self.carriers.loops]
        self.steering = Steering(self.slots, self.pump, limits, line, on_change=self.pump_loop.wake, retire=self.retire)
        if line:
            telemetry.subscribers.append(self.steering.pace)
        self.wakeups = Wakeups(url, settings, self.relay_loop.wake, self._ready, self.steering.ask)
        self.started = asyncio.Event()
        self._stopping = asyncio.Event()

    exit_code = DRAINED
    stubborn = False
    """A job did not end although it was told to: only the end of the process ends it."""
    heartbeat: Heartbeat | None = None
    _signals = 0
    _signalled = 0.0

    # ── from start to end ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Serve until stopped; returns the exit code."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await ready_database(self.links[2], self.upkeep, self._stopping)
            if self._stopping.is_set():
                return DRAINED
            self.runner.handle = self.burial.handle = await open_handle(self.app.load_handle(), stack)
            await register(self)
            self.heartbeat = self.steering.heartbeat = heartbeat = self._heartbeat()
            heartbeat.start()
            await self.steering.begin(
                self.links[2].run(Supervision(self.settings.schema_name).orders(self.id)), self._stopping
            )
            listening = asyncio.create_task(self.wakeups.run())
            loops = [asyncio.create_task(loop.run()) for loop in self.loops]
            self.crew.start()
            warming = asyncio.create_task(warm(self.children, self.runner, self.slots.served))
            alerting = [asyncio.create_task(loop.run()) for loop in self.alerting.loops]
            structlog.get_logger("pgqueue").info(
                "worker.ready", workerId=str(self.id), queues=self.slots.served, concurrency=self.slots.size
            )
            gc.freeze()  # what is alive by now stays: the collector need not look at it again and again
            self.started.set()
            await self._stopping.wait()
            heartbeat.draining = True
            await self._drain()
            self._halt([listening, warming, *alerting])
            _, deaf = await asyncio.wait([*loops, listening, warming, *alerting, *self.crew.tasks], timeout=_PATIENCE)
            self.stubborn = bool(deaf)
            if deaf:
                self.exit_code = GAVE_BACK
            heartbeat.stop()  # last: the leases must hold while jobs end
            with contextlib.suppress(Exception):  # the database may be gone; the row is pruned later
                await leave(self)
        return self.exit_code

    def stop(self) -> None:
        """First call: drain. Second: give running jobs back."""
        self._signals += 1
        self._signalled = self._signalled or time.monotonic()
        self._stopping.set()
        if self._signals > 1:
            self._give_back()

    def recycle(self, reason: str) -> None:
        """Drain and end with a code that makes a supervisor start another process."""
        if not self._stopping.is_set():
            structlog.get_logger("pgqueue").error("worker.recycling", reason=reason)
            self.exit_code = GAVE_BACK
            self.stop()

    def retire(self) -> None:
        """Drain with patience: running jobs end, at the latest by their timeouts, and nothing is given back."""
        self._stopping.set()

    def listen_to_signals(self) -> None:
        """SIGTERM and Ctrl-C drain; a second one gives jobs back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    def _heartbeat(self) -> Heartbeat:
        loop = asyncio.get_running_loop()
        return Heartbeat(
            self.url,
            self.settings,
            (self.lifecycle, self.upkeep),
            held=lambda: list(self.pump.held.copy().values()),
            on_cancel=lambda ids: [loop.call_soon_threadsafe(self._end_run, job, "cancel") for job in ids],
            on_lost=lambda lost: [loop.call_soon_threadsafe(self._end_run, job, "lease", n) for job, n in lost],
            row=lambda: registration(self),
            on_orders=lambda orders: loop.call_soon_threadsafe(self.steering.look, orders),
        )

    async def _drain(self) -> None:
        """Give back what was not started, let the rest end, settle."""
        self.pump.claiming = False
        self._return_unstarted()
        while (self.slots.running or self.pump.pending) and self._is_patient() and self._signals <= 1:
            self._return_unstarted()  # a claim that was on its way when the signal came
            self.pump_loop.wake()
            await asyncio.sleep(_SOON)
        if self.slots.running:
            self._give_back()
            for _ in range(100):
                if not (self.slots.running or self.pump.pending):
                    break
                self.pump_loop.wake()
                await asyncio.sleep(_SOON)

    def _is_patient(self) -> bool:
        """A signal gives jobs the time of ``drain``; a process that retires lets them run up to their timeouts."""
        longest = max((running.deadline for running in self.runner.running.values()), default=time.monotonic())
        return time.monotonic() < (self._signalled or longest) + self.settings.drain.total_seconds()

    def _halt(self, others: list[asyncio.Task[None]]) -> None:
        self.watch.looked = None
        for loop in self.loops:
            loop.stop()
        for other in others:
            other.cancel()
        self.crew.halt()

    async def _close(self) -> None:
        """Close what is open, however far the start came."""
        self.runner.close()
        if self.children is not None:
            await self.children.close()
        for link in self.links:
            await link.close()
        await self.carriers.close()
        await self.alerting.close()
        await self.engines.close()

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pump(self) -> float:
        delay = await self.pump.tick()
        self.crew.wake()
        return delay

    def _ready(self, queue: str) -> None:
        """A queue may have jobs ('': any)."""
        self.slots.wake(queue or None)
        self.pump_loop.wake()

    def _return_unstarted(self) -> None:
        for claimed in self.slots.drain():
            self.pump.add(fate.give_back(claimed))

    def _give_back(self) -> None:
        if self.runner.running:
            self.exit_code = GAVE_BACK
        for running in list(self.runner.running.values()):
            running.stop("shutdown")

    def _end_run(self, job_id: int, why: str, claims: int | None = None) -> None:
        """End what runs of a job: somebody cancelled it, or its lease is lost (``claims``: only that claim of it)."""
        running = self.runner.running.get(job_id)
        if running is not None and claims in (None, running.claimed.claims):
            running.stop(why)
