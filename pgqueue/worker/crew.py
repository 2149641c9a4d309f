"""The resident runners of a process: each runs one job after the other, without a task per job."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue import outcome as fate
from pgqueue.db import is_connection_lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.job import Job
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.burial import Burial
    from pgqueue.worker.pump import Pump
    from pgqueue.worker.runner import Runner
    from pgqueue.worker.running import Running
    from pgqueue.worker.slots import Slots

# Jobs of the whole crew between two looks at the network. More, and everything at hand would be run before the pump
# could ask for the next jobs: the worker and the database would wait for each other in turn.
_BREATH = 80


class Crew:
    """Takes jobs from the slots, runs them, hands their outcomes to the pump."""

    def __init__(
        self,
        slots: Slots,
        runner: Runner,
        burial: Burial,
        pump: Pump,
        *,
        settings: Settings,
        telemetry: Telemetry,
        on_outcome: Callable[[], None],
    ) -> None:
        """Nobody works yet."""
        self.slots = slots
        self.runner = runner
        self.burial = burial
        self.pump = pump
        self.settings = settings
        self.telemetry = telemetry
        self._on_outcome = on_outcome
        self._waiters: list[asyncio.Future[None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        """The residents, those too that were given up and go on."""
        self._given_up: set[asyncio.Task[Any]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._halted = False

    def start(self) -> None:
        """Start one resident for each slot."""
        self.tasks = [asyncio.create_task(self._resident()) for _ in range(self.slots.size)]

    def halt(self) -> None:
        """Let all residents go.

        Whose job was told to end is not told again: a second cancellation would break off what the job cleans up after
        the first, and a connection that is being rolled back would be lost.
        """
        self._halted = True
        told = {running.task for running in self.runner.running.values() if running.stopped is not None}
        for task in self.tasks:
            if task not in told:
                task.cancel()

    def abandon(self, running: Running) -> None:
        """Give up a resident whose job does not end: its job is settled without it, another takes its place."""
        claimed, task = running.claimed, running.task
        kind = self.runner.kinds[claimed.kind]
        structlog.get_logger("pgqueue").error("job.abandoned", jobClass=claimed.kind, jobId=str(claimed.id))
        self._given_up.add(task)
        self.runner.running.pop(claimed.id, None)
        self.runner.leftovers.add(task, claimed.id, kind.timeout)
        task.add_done_callback(self._forget)
        settlement = self.runner.abandoned(running, kind)
        ending = asyncio.create_task(self._settle(claimed, settlement, None))
        self._ends.add(ending)
        ending.add_done_callback(self._ends.discard)
        self.slots.free(claimed.queue)
        self.tasks.append(asyncio.create_task(self._resident()))
        self._on_outcome()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self.runner.leftovers.end(task)
        self._given_up.discard(task)
        self.tasks = [other for other in self.tasks if other is not task]

    async def _resident(self) -> None:
        """Run one job after the other: no task per job."""
        task = asyncio.current_task()
        every = max(1, _BREATH // self.slots.size)
        count = 0
        while not self._halted:
            claimed = self.slots.take()
            if claimed is None:
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter
                continue
            try:
                await self._one(claimed, task)
            finally:
                if task not in self._given_up:
                    self.slots.free(claimed.queue)
                    self._on_outcome()
            if task in self._given_up:
                return  # another is in its place
            count += 1
            if count % every == 0:
                await asyncio.sleep(0)

    async def _one(self, claimed: Claimed, task: asyncio.Task[None] | None = None) -> None:
        try:
            settlement, follower = await self.runner.run(claimed, task)
        except Exception as error:  # noqa: BLE001 - a fault must not cost a slot or a job; SQLAlchemy wraps what psycopg raises
            structlog.get_logger("pgqueue").exception("runner.failed", jobId=str(claimed.id))
            kind = self.runner.kinds.get(claimed.kind)
            settlement, follower = (fate.decide(claimed, kind.policy, error) if kind else fate.refuse(claimed)), None
        if task in self._given_up:
            return  # settled without it
        if settlement is None or follower is not None or settlement.moment == "bury":
            await self._settle(claimed, settlement, follower)
        else:
            self.pump.add(settlement)

    async def _settle(self, claimed: Claimed, settlement: Settlement | None, follower: Job | None) -> None:
        if settlement is None:
            self.pump.release(claimed.id, claimed.claims)
        elif follower is not None or self.burial.concerns(settlement, self.runner.kinds.get(claimed.kind)):
            await self._end(claimed, settlement, follower)
        else:
            self.pump.add(settlement)

    async def _end(self, claimed: Claimed, settlement: Settlement, follower: Job | None) -> None:
        """Settle in a transaction of its own; through an outage of the database for as long as the lease may last."""
        give_up = time.monotonic() + self.settings.lease.total_seconds()
        while True:
            try:
                if follower is not None:
                    settled = await self.burial.follow(claimed, settlement, follower)
                else:
                    settled = await self.burial.bury(claimed, settlement, self.runner.kinds.get(claimed.kind))
                break
            except Exception as error:  # noqa: BLE001 - a fault must not cost a slot or a job; SQLAlchemy wraps what psycopg raises
                if follower is not None and not is_connection_lost(getattr(error, "orig", error) or error):
                    kind = self.runner.kinds[claimed.kind]
                    self.pump.add(fate.decide(claimed, kind.policy, error, scale=self.settings.time_scale))
                    return
                if time.monotonic() > give_up:
                    settled = False
                    break
                await asyncio.sleep(1.0)
        self.pump.release(claimed.id, claimed.claims)
        if not settled:
            self.telemetry.lease_lost(claimed)

    def wake(self) -> None:
        """Wake as many residents as there are jobs at hand."""
        ready = sum(len(lane.buffer) for lane in self.slots.lanes.values())
        while ready > 0 and self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                waiter.set_result(None)
                ready -= 1
