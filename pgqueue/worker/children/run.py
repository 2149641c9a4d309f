"""One job in a child process, from claim to settlement: the parent keeps lease, deadline and settling."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from typing import TYPE_CHECKING

from pgqueue import outcome as fate
from pgqueue.errors import JobTimeout
from pgqueue.failure import Failure
from pgqueue.worker.children.forks import ChildUnavailable
from pgqueue.worker.context import JobContext
from pgqueue.worker.running import Running, Stopped

if TYPE_CHECKING:
    from pgqueue.job import Job
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.settings import Settings
    from pgqueue.worker.children.channel import Answer
    from pgqueue.worker.children.pool import ChildProcess, Children
    from pgqueue.worker.runner import Kind, Runner

_AGAIN = 5.0  # seconds after which a job is tried again for which no child could be started
_TRIES = 3  # children that may be gone before they begin


class Isolation:
    """Runs jobs in children: those of ``executor="process"``, and each that is suspected of having ended a process."""

    def __init__(self, children: Children, runner: Runner, settings: Settings) -> None:
        """Use the runner's decisions and its list of what runs."""
        self._children = children
        self._runner = runner
        self._settings = settings

    async def run(
        self, claimed: Claimed, kind: Kind, task: asyncio.Task[object]
    ) -> tuple[Settlement | None, Job | None]:
        """Run one job and return how to settle it, as `Runner.run` does."""
        runner = self._runner
        ctx = JobContext(claimed, kind.policy, kind.timeout, runner.engines, runner.lifecycle)
        running = Running(claimed, ctx, math.inf, task)
        runner.running[claimed.id] = running
        try:
            child = await self._begun(claimed, running)
            if isinstance(child, ChildUnavailable):
                return fate.give_back(claimed, _AGAIN), None
            if child is None:
                return runner.decide(claimed, kind, ctx, Stopped(running.stopped or "", kind.timeout), 0.0), None
            return await self._watched(child, kind, running)
        finally:
            if running.stopped is not None:
                task.uncancel()
            if runner.running.get(claimed.id) is running:  # else the job was claimed again, and runs again
                del runner.running[claimed.id]

    async def _begun(self, claimed: Claimed, running: Running) -> ChildProcess | ChildUnavailable | None:
        """Return a child that has begun the job; None: the job was stopped before."""
        child = None
        try:
            for _ in range(_TRIES):
                child = await self._children.take(fresh=claimed.crashes > 0)
                if await child.begin(claimed):
                    return child
                child.kill()  # an idle one that was ended meanwhile, or its channel was: not by this job
                child.close()
        except ChildUnavailable as error:
            return error
        except asyncio.CancelledError:
            if child is not None:
                child.kill()
                child.close()
            if running.stopped is None:
                raise  # the process is ending
            return None
        return ChildUnavailable("children ended before they began the job")

    async def _watched(self, child: ChildProcess, kind: Kind, running: Running) -> tuple[Settlement | None, Job | None]:
        claimed = running.claimed
        began = time.monotonic()
        running.deadline = began + kind.timeout
        self._runner.telemetry.started(claimed)
        answer, kept = None, False
        try:
            answer = await child.answer()
            kept = answer is not None and not answer.last and claimed.crashes == 0
        except asyncio.CancelledError:
            if running.stopped is None:
                raise  # the process is ending
            answer = await child.stop(running.stopped)
        finally:
            if kept:
                self._children.keep(child)
            elif answer is None:
                child.kill()
        if answer is not None:
            if not kept:
                child.close()
            return self._told(claimed, kind, answer)
        if running.stopped is not None:
            result: object = Stopped(running.stopped, kind.timeout)
        else:
            result = _ended(await child.code(), kind)
        child.close()
        return self._settled(running, kind, result, time.monotonic() - began), None

    def _told(self, claimed: Claimed, kind: Kind, answer: Answer) -> tuple[Settlement | None, Job | None]:
        """Tell on what the child told, and read the job that follows."""
        telemetry = self._runner.telemetry
        settlement, follower = answer.settlement, None
        if answer.follower is not None:
            try:
                follower = self._runner.kinds[answer.follower[0]].cls.model_validate_json(answer.follower[1])
            except Exception as error:  # noqa: BLE001 - a class that does not read what it wrote is a failed attempt
                settlement = fate.decide(claimed, kind.policy, error, scale=self._settings.time_scale)
        if answer.lost:
            telemetry.lease_lost(claimed)
        if settlement is not None:
            telemetry.settled(claimed, settlement, answer.seconds)
        return (settlement if answer.pending else None), follower

    def _settled(self, running: Running, kind: Kind, result: object, ran: float) -> Settlement | None:
        claimed, runner = running.claimed, self._runner
        if isinstance(result, Failure):
            settlement: Settlement | None = fate.crash(
                claimed, result, self._settings.max_crashes, self._settings.time_scale
            )
            runner.telemetry.crashed(claimed)
        else:
            settlement = runner.decide(claimed, kind, running.ctx, result, ran)
        if settlement is not None:
            runner.telemetry.settled(claimed, settlement, ran)
        return settlement


def _ended(code: int | None, kind: Kind) -> Failure | JobTimeout:
    """Say how the process ended that ran the job: a crash, unless it is the kernel that holds its limit."""
    cpu = kind.policy.cpu
    if cpu is not None and code == -signal.SIGXCPU:
        return JobTimeout(f"the job used more than its {cpu.total_seconds():g} s of processor time")
    if code is None:
        return Failure("ProcessDied", "the process of the job ended, nobody knows how")
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return Failure("ProcessDied", f"the process of the job was ended by {name}")
    return Failure("ProcessDied", f"the process of the job ended with code {code} before the job did")
