"""One job, from claim to settlement: know the kind, read the arguments, run, decide. The pipeline of a run."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pybreaker
from pydantic import ValidationError

from pgqueue import outcome as fate
from pgqueue.context import ambient
from pgqueue.errors import CircuitOpen, DatabaseUnavailable, JobTimeout, LeaseLost
from pgqueue.failure import MOST_ERROR, Failure, describe, storable
from pgqueue.isolation import PROCESS
from pgqueue.worker.context import JobContext
from pgqueue.worker.running import Leftovers, Running, Stopped
from pgqueue.worker.threads import Threads

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.job import Job
    from pgqueue.outcome import Claimed, Outcome, Settlement
    from pgqueue.policy import Policy
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.children.run import Isolation
    from pgqueue.worker.engines import Engines

_FOREIGN_PAUSE = 15.0  # seconds; a breaker of another library does not say when its circuit may be tried again
_SPREAD = 0.1  # of a wait for an open circuit, so that not all jobs come back in one moment
_DATABASE_PAUSE = 5.0  # seconds; the same for the queue's own database
_BLOCKED_PAUSE = 1.0  # seconds after which a job is tried again whose earlier run goes on in this process


class Kind:
    """What the runner needs of a kind, looked up once."""

    __slots__ = ("cls", "in_child", "is_async", "on_dead", "policy", "timeout", "version")

    def __init__(self, cls: type[Job], timeout: float, policy: Policy) -> None:
        """Inspect the class."""
        self.cls = cls
        self.policy = policy
        self.timeout = timeout
        self.version = cls.policy.version
        self.in_child = cls.policy.executor == PROCESS
        self.is_async = inspect.iscoroutinefunction(cls.run)  # type: ignore[attr-defined]  # checked when the class was made
        self.on_dead = getattr(cls, "on_dead", None)

    def decode(self, claimed: Claimed) -> Job:
        """Read the arguments; an older payload version is brought up to date first."""
        if claimed.payload_version == self.version:
            return self.cls.model_validate_json(claimed.args)
        return self.cls.model_validate(self.cls.upgrade(json.loads(claimed.args), claimed.payload_version))


class Runner:
    """Runs jobs; knows nothing of claiming and settling."""

    def __init__(
        self, app: App, settings: Settings, engines: Engines, lifecycle: Lifecycle, telemetry: Telemetry
    ) -> None:
        """Look up the kinds."""
        self.kinds = {name: Kind(cls, app.timeout_of(cls), app.policy_of(cls)) for name, cls in app.kinds.items()}
        self.handle: object = None
        self.running: dict[int, Running] = {}
        self.engines = engines
        self.lifecycle = lifecycle
        self.telemetry = telemetry
        self.leftovers = Leftovers(settings.max_stuck)
        self.threads = Threads(settings.concurrency + settings.max_stuck, self.leftovers)
        self.isolation: Isolation | None = None
        """Child processes; None in one, and where the application has no path by which a child could find it."""
        self._scale = settings.time_scale

    async def run(
        self, claimed: Claimed, task: asyncio.Task[Any] | None = None
    ) -> tuple[Settlement | None, Job | None]:
        """Run one job and return how to settle it (None: its own transaction did) and a job that follows it.

        ``task`` is the one that calls; a resident knows itself, and asking asyncio for each job costs a system call.
        """
        kind = self.kinds.get(claimed.kind)
        if kind is None or claimed.payload_version > kind.version:
            return self._told(claimed, fate.refuse(claimed, self._scale)), None
        if claimed.cancel_requested or claimed.doomed is not None:
            return self._told(claimed, _without_run(claimed, kind)), None
        task = task or asyncio.current_task()
        assert task is not None  # noqa: S101 - runners are tasks
        # Whatever was there when a process died is innocent but for one: alone in a child, each shows what it is.
        if (kind.in_child or claimed.crashes) and self.isolation is not None:
            return await self.isolation.run(claimed, kind, task)
        if self.leftovers.runs and self.leftovers.blocks(claimed.id):
            return fate.give_back(claimed, _BLOCKED_PAUSE), None
        try:
            job = kind.decode(claimed)
        except Exception as error:  # noqa: BLE001 - what nobody can read is buried, also if `upgrade` stumbles over it
            return self._told(claimed, fate.bury(claimed, "invalid", _invalid(error))), None
        return await self._run(claimed, kind, job, task)

    def _told(self, claimed: Claimed, settlement: Settlement) -> Settlement:
        """Settle a job that did not run; its end is told like any other."""
        self.telemetry.settled(claimed, settlement, 0.0)
        return settlement

    async def _run(
        self, claimed: Claimed, kind: Kind, job: Job, task: asyncio.Task[Any]
    ) -> tuple[Settlement | None, Job | None]:
        began = time.monotonic()
        self.telemetry.started(claimed)
        ctx = JobContext(claimed, kind.policy, kind.timeout, self.engines, self.lifecycle)
        result = await self._call(kind, job, ctx, task)
        ran = time.monotonic() - began
        settlement = self.decide(claimed, kind, ctx, result, ran)
        if settlement is not None:
            self.telemetry.settled(claimed, settlement, ran)
        if ctx.completed:
            _warn_of_ignored(ctx, result)
            return None, None
        return settlement, result.job if isinstance(result, fate.Continue) else None

    async def _call(
        self, kind: Kind, job: Job, ctx: JobContext, task: asyncio.Task[Any]
    ) -> Outcome | BaseException | None:
        """Call ``run`` under its deadline; what it raises becomes a value."""
        running = Running(ctx._claimed, ctx, time.monotonic() + kind.timeout, task)  # noqa: SLF001 - made here
        self.running[ctx.job_id] = running
        token = ambient.set(ctx)
        try:
            if kind.is_async:
                return await job.run(self.handle, ctx)  # type: ignore[attr-defined, no-any-return]  # each class has its own
            said = await self.threads.call(ctx.job_id, kind.timeout, job.run, self.handle, ctx)  # type: ignore[attr-defined]  # each class has its own
            # an `async def` behind a plain decorator looks like a `def`: what it made has to run, too
            return await said if inspect.isawaitable(said) else said  # type: ignore[no-any-return]  # decide looks at it
        except asyncio.CancelledError:
            if running.stopped is not None:
                return Stopped(running.stopped, kind.timeout)
            if task.cancelling():
                raise  # not ours: the process is ending
            return RuntimeError("the job raised CancelledError although nobody had cancelled it")
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is a failed attempt, SystemExit too
            return error
        finally:
            if running.stopped is not None:
                task.uncancel()
            ambient.reset(token)
            if self.running.get(ctx.job_id) is running:  # else the job was claimed again, and runs again
                del self.running[ctx.job_id]

    def decide(self, claimed: Claimed, kind: Kind, ctx: JobContext, result: Any, ran: float) -> Settlement | None:
        """Choose the fate of a run that ended like this; None: there is nothing to settle."""
        if ctx.completed:
            return fate.complete(claimed, kind.policy)
        if isinstance(result, LeaseLost):
            self.telemetry.lease_lost(claimed)
            return None
        if isinstance(result, Stopped):
            match result.why:
                case "cancel":
                    result = fate.Cancel("cancelled while running")
                case "lease":
                    return None  # another worker has it by now
                case "shutdown":
                    return fate.give_back(claimed)
                case _:
                    result = JobTimeout(f"the job ran longer than its timeout of {result.timeout:g} s")
        if isinstance(result, (CircuitOpen, pybreaker.CircuitBreakerError)):
            result = _postponed(result)
        if isinstance(result, DatabaseUnavailable):
            result = fate.Snooze(f"{_DATABASE_PAUSE}s", describe(result).error)
        try:
            return fate.decide(claimed, kind.policy, result, ran=ran, scale=self._scale)
        except Exception as error:  # noqa: BLE001 - an outcome that says nonsense (a delay without unit) is a failed attempt
            return fate.decide(claimed, kind.policy, error, ran=ran, scale=self._scale)

    def abandoned(self, running: Running, kind: Kind) -> Settlement | None:
        """Choose the fate of a run that was told to end and goes on."""
        ran = time.monotonic() - running.deadline + kind.timeout
        stopped = Stopped(running.stopped or "", kind.timeout)
        settlement = self.decide(running.claimed, kind, running.ctx, stopped, ran)
        if settlement is not None:
            self.telemetry.settled(running.claimed, settlement, ran)
        return None if running.ctx.completed else settlement

    def close(self) -> None:
        """Let the threads go; one that ignores its end dies with the process."""
        self.threads.close()


def _without_run(claimed: Claimed, kind: Kind) -> Settlement:
    """End a job that must not run any more."""
    if claimed.cancel_requested:
        return fate.decide(claimed, kind.policy, fate.Cancel("cancelled while its worker was lost"))
    lost = Failure("WorkerLost", f"{claimed.crashes} workers were lost while running this job")
    return fate.bury(claimed, "crashed", lost)


def _postponed(error: CircuitOpen | pybreaker.CircuitBreakerError) -> fate.Snooze:
    """Wait until the circuit may be tried again: nobody is at fault, no attempt is spent."""
    seconds = error.retry_in.total_seconds() if isinstance(error, CircuitOpen) else _FOREIGN_PAUSE
    spread = random.uniform(0.0, max(seconds * _SPREAD, 0.5))  # noqa: S311 - spreads jobs, guards nothing
    return fate.Snooze(timedelta(seconds=seconds + spread), f"circuit open: {describe(error).error}")


def _warn_of_ignored(ctx: JobContext, result: object) -> None:
    """Say loudly what came too late: the commit of `ctx.transaction` was the job's outcome."""
    if result is None or isinstance(result, (fate.Done, Stopped)):
        return
    ctx.log.error(
        "job.outcome_ignored",
        outcome=type(result).__name__,
        error=describe(result).error if isinstance(result, BaseException) else "",
        hint="the job had already completed in ctx.transaction(); return None after it, and enqueue what follows "
        "inside the block with queue.enqueue(session, …)",
    )


def _invalid(error: Exception) -> Failure:
    """Describe arguments that cannot be read, without repeating their values."""
    if isinstance(error, ValidationError):
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors(include_url=False)[:10]
        )
        return Failure("InvalidArguments", storable(faults, MOST_ERROR))
    return Failure("InvalidArguments", f"the arguments cannot be read: {type(error).__name__}")
