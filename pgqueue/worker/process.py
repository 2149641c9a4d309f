"""One worker process: starts everything, hands jobs to its runners, drains, leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from pgqueue import outcome as fate
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queries.upkeep import Registration, Upkeep
from pgqueue.version import __version__
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
from pgqueue.worker.start import open_handle, parked_names, ready_database
from pgqueue.worker.upkeep import Keeper
from pgqueue.worker.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pgqueue.app import App
    from pgqueue.telemetry import Telemetry

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
    ) -> None:
        """Open nothing. ``limits``: queues in their order of priority, each with its share of ``workers``."""
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
        self.keeper = Keeper(self.links[2], self.upkeep, settings, telemetry, app.dead_kept())
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
        self.wakeups = Wakeups(url, settings, self.relay_loop.wake, self._ready)
        self.exit_code = DRAINED
        self.stubborn = False
        """A job did not end although it was told to: only the end of the process ends it."""
        self.started = asyncio.Event()
        self._on_watch = on_watch
        self._until_empty = until_empty
        self._stopping = asyncio.Event()
        self._signals = 0
        self._watched = time.monotonic()
        self._next_poll = 0.0

    heartbeat: Heartbeat | None = None
    _in_danger = False

    # ── from start to end ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Serve until stopped; returns the exit code."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await ready_database(self.links[2], self.upkeep, self._stopping)
            if self._stopping.is_set():
                return DRAINED
            self.runner.handle = self.burial.handle = await open_handle(self.app.handle, stack)
            await self._register()
            self.heartbeat = heartbeat = self._heartbeat()
            heartbeat.start()
            listening = asyncio.create_task(self.wakeups.run())
            loops = [
                asyncio.create_task(loop.run())
                for loop in (self.pump_loop, self.relay_loop, self.upkeep_loop, self.watch_loop)
            ]
            runners = self.crew.start()
            structlog.get_logger("pgqueue").info(
                "worker.ready", workerId=str(self.id), queues=list(self.slots.lanes), concurrency=self.slots.size
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
            await self._leave()
        return self.exit_code

    def stop(self) -> None:
        """First call: drain. Second: give running jobs back."""
        self._signals += 1
        self._stopping.set()
        if self._signals > 1:
            self._give_back()

    def listen_to_signals(self) -> None:
        """SIGTERM and Ctrl-C drain; a second one gives jobs back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _register(self) -> None:
        settings = self.settings
        kinds = parked_names(self.runner.kinds)
        row = Registration(
            self.id, socket.gethostname(), os.getpid(), __version__, list(self.slots.lanes), kinds, self.slots.size
        )
        link = self.links[2]
        await link.run(self.upkeep.add_queues(list(settings.queues)))
        await link.run(self.upkeep.register(row))
        await link.run(self.upkeep.unpark([f"kind:{kind}" for kind in kinds]))

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
        )

    async def _drain(self) -> None:
        """Give back what was not started, let the rest end, settle."""
        self.pump.claiming = False
        self._return_unstarted()
        deadline = time.monotonic() + self.settings.drain.total_seconds()
        while (self.slots.running or self.pump.pending) and time.monotonic() < deadline and self._signals <= 1:
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

    def _halt(self, listening: asyncio.Task[None], runners: list[asyncio.Task[None]]) -> None:
        for loop in (self.pump_loop, self.relay_loop, self.upkeep_loop, self.watch_loop):
            loop.stop()
        listening.cancel()
        for runner in runners:
            runner.cancel()

    async def _leave(self) -> None:
        with contextlib.suppress(Exception):  # the database may be gone; the row is pruned later
            await self._return_rest()
            for role, token in (("relay", self.relay.token), ("upkeep", self.keeper.token)):
                if token is not None:
                    await self.links[2].run(self.upkeep.leave_turn(role, token))
            await self.links[2].run(self.upkeep.deregister(self.id))

    async def _close(self) -> None:
        """Close what is open, however far the start came."""
        self.runner.close()
        for link in self.links:
            await link.close()
        await self.engines.close()

    async def _return_rest(self) -> None:
        """Whatever is still held goes back: claimed in the last message, or run by a job that does not end."""
        self._return_unstarted()
        self.pump.give_back_held()
        with contextlib.suppress(TimeoutError):  # a row that somebody keeps locked must not keep the process
            async with asyncio.timeout(_PATIENCE):
                while self.pump.pending:
                    await self.pump.tick()

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
