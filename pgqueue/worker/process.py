"""One worker process: starts everything, hands jobs to its runners, drains, leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from pgqueue import outcome as fate
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queries.supervision import Supervision
from pgqueue.queries.upkeep import Upkeep
from pgqueue.worker.burial import Burial
from pgqueue.worker.crew import Crew
from pgqueue.worker.engines import Engines
from pgqueue.worker.heartbeat import Heartbeat
from pgqueue.worker.link import Link
from pgqueue.worker.loop import Loop
from pgqueue.worker.pump import Pump
from pgqueue.worker.relay import Relay
from pgqueue.worker.runner import Runner
from pgqueue.worker.slots import Slots
from pgqueue.worker.start import leave, open_handle, ready_database, register
from pgqueue.worker.steering import Steering
from pgqueue.worker.upkeep import Keeper
from pgqueue.worker.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.app import App
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.line import Line

DRAINED, GAVE_BACK = 0, 1
_WATCH = 0.05  # seconds between looks at deadlines
_PATIENCE = 5.0  # seconds that a job which was told to end may take
_DEAF_POLL = 0.5  # seconds between polls of a worker that hears no wake-ups


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
        self.app = app
        self.url = url
        self.settings = settings
        self.lifecycle, self.upkeep = Lifecycle(settings.schema_name), Upkeep(settings.schema_name)
        self.telemetry = telemetry
        self.slots = Slots(limits, settings.concurrency)
        self.engines = Engines(url, self.slots.size, app.engine, app.async_engine)
        self.runner = Runner(app, settings, self.engines, self.lifecycle, telemetry)
        self.burial = Burial(app, self.engines, self.lifecycle)
        self.links = [Link(url, settings, name) for name in ("pump", "relay", "upkeep")]
        self.pump = Pump(self.id, self.links[0], self.lifecycle, self.slots, settings=settings, telemetry=telemetry)
        self.pump.on_again = lambda job_id: self._end_run(job_id, "lease")
        self.relay = Relay(self.links[1], self.lifecycle, settings, self._ready)
        self.keeper = Keeper(self.links[2], self.upkeep, settings, telemetry)
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
        self.watch_loop = Loop("watch", self._watch)
        self.steering = Steering(self.slots, self.pump, limits, line, on_change=self.pump_loop.wake, retire=self.retire)
        if line:
            telemetry.subscribers.append(self.steering.pace)
        self.wakeups = Wakeups(url, settings, self.relay_loop.wake, self._ready, self.steering.ask)
        self.started = asyncio.Event()
        self._on_watch = on_watch
        self._until_empty = until_empty
        self._stopping = asyncio.Event()
        self._watched = time.monotonic()

    exit_code = DRAINED
    stubborn = False
    """A job did not end although it was told to: only the end of the process ends it."""
    heartbeat: Heartbeat | None = None
    _in_danger = False
    _signals = 0
    _signalled = 0.0
    _next_poll = 0.0

    # ── from start to end ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Serve until stopped; returns the exit code."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await ready_database(self.links[2], self.upkeep, self._stopping)
            if self._stopping.is_set():
                return DRAINED
            self.runner.handle = self.burial.handle = await open_handle(self.app.handle, stack)
            await register(self)
            self.heartbeat = self.steering.heartbeat = heartbeat = self._heartbeat()
            heartbeat.start()
            await self.steering.begin(
                self.links[2].run(Supervision(self.settings.schema_name).orders(self.id)), self._stopping
            )
            listening = asyncio.create_task(self.wakeups.run())
            loops = [
                asyncio.create_task(loop.run())
                for loop in (self.pump_loop, self.relay_loop, self.upkeep_loop, self.watch_loop)
            ]
            runners = self.crew.start()
            structlog.get_logger("pgqueue").info(
                "worker.ready", workerId=str(self.id), queues=self.slots.served, concurrency=self.slots.size
            )
            gc.freeze()  # what is alive by now stays: the collector need not look at it again and again
            self.started.set()
            await self._stopping.wait()
            heartbeat.draining = True
            await self._drain()
            self._halt(listening, runners)
            _, deaf = await asyncio.wait([*loops, listening, *runners], timeout=_PATIENCE)
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
            self.id,
            self.url,
            self.settings,
            (self.lifecycle, self.upkeep),
            held=lambda: list(self.pump.held.copy().values()),
            on_cancel=lambda ids: [loop.call_soon_threadsafe(self._end_run, job, "cancel") for job in ids],
            on_lost=lambda lost: [loop.call_soon_threadsafe(self._end_run, job, "lease", n) for job, n in lost],
            queues=lambda: self.slots.served,
            on_orders=lambda orders: loop.call_soon_threadsafe(self.steering.look, orders),
        )

    async def _drain(self) -> None:
        """Give back what was not started, let the rest end, settle."""
        self.pump.claiming = False
        self._return_unstarted()
        while (self.slots.running or self.pump.pending) and self._is_patient() and self._signals <= 1:
            self._return_unstarted()  # a claim that was on its way when the signal came
            self.pump_loop.wake()
            await asyncio.sleep(_WATCH / 5)
        if self.slots.running:
            self._give_back()
            for _ in range(100):
                if not (self.slots.running or self.pump.pending):
                    break
                self.pump_loop.wake()
                await asyncio.sleep(_WATCH / 5)

    def _is_patient(self) -> bool:
        """A signal gives jobs the time of ``drain``; a process that retires lets them run up to their timeouts."""
        longest = max((running.deadline for running in self.runner.running.values()), default=time.monotonic())
        return time.monotonic() < (self._signalled or longest) + self.settings.drain.total_seconds()

    def _halt(self, listening: asyncio.Task[None], runners: list[asyncio.Task[None]]) -> None:
        for loop in (self.pump_loop, self.relay_loop, self.upkeep_loop, self.watch_loop):
            loop.stop()
        listening.cancel()
        for runner in runners:
            runner.cancel()

    async def _close(self) -> None:
        """Close what is open, however far the start came."""
        self.runner.close()
        for link in self.links:
            await link.close()
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

    def _guard_leases(self, now: float) -> None:
        """Judge by elapsed time, and not in the heartbeat's thread: it may be stuck, or the process was frozen."""
        late = self.heartbeat is not None and now - self.heartbeat.last > self.settings.lease.total_seconds() * 2 / 3
        if late and not self._in_danger:
            self._lease_in_danger()
        self._in_danger = late

    def _lease_in_danger(self) -> None:
        """No heartbeat for too long: stop before another worker begins."""
        structlog.get_logger("pgqueue").error("worker.lease_in_danger", running=len(self.runner.running))
        for claimed in self.slots.drain():
            self.pump.held.pop(claimed.id, None)
        for running in list(self.runner.running.values()):
            running.stop("lease")

    # ── now and then ─────────────────────────────────────────────────────────────────────────────────────────

    async def _watch(self) -> float:
        now = time.monotonic()
        self._guard_leases(now)
        for running in list(self.runner.running.values()):
            if now > running.deadline:
                running.stop("timeout")
        self.slots.measure(now - self._watched)
        self._watched = now
        self._on_watch()
        self.steering.look()
        if now >= self._next_poll:
            poll = self.settings.poll.total_seconds()
            self._next_poll = now + (poll if self.wakeups.arriving else min(poll, _DEAF_POLL))
            self.slots.wake()
            self.pump_loop.wake()
        if self._until_empty and await self._is_empty():
            self.stop()
        return _WATCH

    async def _is_empty(self) -> bool:
        if not self.slots.idle or self.pump.pending or self.pump.held:
            return False
        left: list[Any] = await self.links[2].run(self.upkeep.work_left(list(self.slots.lanes)))
        if left[0]:
            self.slots.wake()
            self.pump_loop.wake()
            self.relay_loop.wake()
        return not left[0]
