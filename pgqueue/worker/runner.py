"""One job, from claim to settlement: know the kind, read the arguments, run, decide. The pipeline of a run."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import pybreaker
from pydantic import ValidationError

from pgqueue import outcome as fate
from pgqueue.context import ambient
from pgqueue.errors import DatabaseUnavailable, JobTimeout, LeaseLost
from pgqueue.failure import MOST_ERROR, Failure, describe, storable
from pgqueue.worker.context import JobContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.app import App
    from pgqueue.job import Job, Policy
    from pgqueue.outcome import Claimed, Outcome, Settlement
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.engines import Engines

_BREAKER_PAUSE = 15.0  # seconds; an open circuit is nobody's fault, so the job only waits
_DATABASE_PAUSE = 5.0  # seconds; the same for the queue's own database


class Kind:
    """What the runner needs of a kind, looked up once."""

    __slots__ = ("cls", "is_async", "on_dead", "policy", "timeout", "version")

    def __init__(self, cls: type[Job], timeout: float, policy: Policy) -> None:
        """Inspect the class."""
        self.cls = cls
        self.policy = policy
        self.timeout = timeout
        self.version = cls.policy.version
        self.is_async = inspect.iscoroutinefunction(cls.run)  # type: ignore[attr-defined]  # checked when the class was made
        self.on_dead = getattr(cls, "on_dead", None)

    def decode(self, claimed: Claimed) -> Job:
        """Read the arguments; an older payload version is brought up to date first."""
        if claimed.payload_version == self.version:
            return self.cls.model_validate_json(claimed.args)
        return self.cls.model_validate(self.cls.upgrade(json.loads(claimed.args), claimed.payload_version))


class Running:
    """A job in a resident runner: what the watchdog and the heartbeat need to end it."""

    __slots__ = ("claimed", "ctx", "deadline", "stopped", "task")

    def __init__(self, claimed: Claimed, ctx: JobContext, deadline: float, task: asyncio.Task[Any]) -> None:
        """Start the clock."""
        self.claimed = claimed
        self.ctx = ctx
        self.deadline = deadline
        self.task = task
        self.stopped: str | None = None

    def stop(self, why: str) -> None:
        """End the job: "timeout", "cancel", "lease" or "shutdown". A thread can only be told."""
        if self.stopped is None:
            self.stopped = why
            self.ctx.cancelled = True
            self.task.cancel()


class Runner:
    """Runs jobs; knows nothing of claiming and settling."""

    def __init__(
        self, app: App, settings: Settings, engines: Engines, lifecycle: Lifecycle, telemetry: Telemetry
    ) -> None:
        """Look up the kinds."""
        self.kinds = {name: Kind(cls, app.timeout_of(cls), app.policy_of(cls)) for name, cls in app.kinds.items()}
        self.handle: object = None
        self.running: dict[int, Running] = {}
        self._scale = settings.time_scale
        self._engines = engines
        self._lifecycle = lifecycle
        self._telemetry = telemetry
        self._threads = ThreadPoolExecutor(settings.concurrency * 2, thread_name_prefix="pgqueue job")

    async def run(
        self, claimed: Claimed, task: asyncio.Task[Any] | None = None
    ) -> tuple[Settlement | None, Job | None]:
        """Run one job and return how to settle it (None: its own transaction did) and a job that follows it.

        ``task`` is the one that calls; a resident knows itself, and asking asyncio for each job costs a system call.
        """
        kind = self.kinds.get(claimed.kind)
        if kind is None or claimed.payload_version > kind.version:
            return self._told(claimed, fate.refuse(claimed, self._scale)), None
        if claimed.cancel_requested:
            cancelled = fate.Cancel("cancelled while its worker was lost")
            return self._told(claimed, fate.decide(claimed, kind.policy, cancelled)), None
        if claimed.doomed is not None:
            lost = Failure("WorkerLost", f"{claimed.crashes} workers were lost while running this job")
            return self._told(claimed, fate.bury(claimed, "crashed", lost)), None
        try:
            job = kind.decode(claimed)
        except Exception as error:  # noqa: BLE001 - what nobody can read is buried, also if `upgrade` stumbles over it
            return self._told(claimed, fate.bury(claimed, "invalid", _invalid(error))), None
        return await self._run(claimed, kind, job, task or asyncio.current_task())

    def _told(self, claimed: Claimed, settlement: Settlement) -> Settlement:
        """Settle a job that did not run; its end is told like any other."""
        self._telemetry.settled(claimed, settlement, 0.0)
        return settlement

    async def _run(
        self, claimed: Claimed, kind: Kind, job: Job, task: asyncio.Task[Any] | None
    ) -> tuple[Settlement | None, Job | None]:
        began = time.monotonic()
        self._telemetry.started(claimed)
        ctx = JobContext(claimed, kind.policy, kind.timeout, self._engines, self._lifecycle)
        result = await self._call(kind, job, ctx, task)
        ran = time.monotonic() - began
        settlement = self._decide(claimed, kind, ctx, result, ran)
        if settlement is not None:
            self._telemetry.settled(claimed, settlement, ran)
        if ctx.completed:
            _warn_of_ignored(ctx, result)
            return None, None
        return settlement, result.job if isinstance(result, fate.Continue) else None

    async def _call(
        self, kind: Kind, job: Job, ctx: JobContext, task: asyncio.Task[Any] | None
    ) -> Outcome | BaseException | None:
        """Call ``run`` under its deadline; what it raises becomes a value."""
        assert task is not None  # noqa: S101 - runners are tasks
        running = Running(ctx._claimed, ctx, time.monotonic() + kind.timeout, task)  # noqa: SLF001 - made here
        self.running[ctx.job_id] = running
        token = ambient.set(ctx)
        try:
            if kind.is_async:
                return await job.run(self.handle, ctx)  # type: ignore[attr-defined, no-any-return]  # each class has its own
            call = partial(copy_context().run, _in_thread, job.run, self.handle, ctx)  # type: ignore[attr-defined]  # each class has its own
            said = await asyncio.get_running_loop().run_in_executor(self._threads, call)
            # an `async def` behind a plain decorator looks like a `def`: what it made has to run, too
            return await said if inspect.isawaitable(said) else said  # type: ignore[no-any-return]  # decide looks at it
        except asyncio.CancelledError:
            if running.stopped is not None:
                return _Stopped(running.stopped, kind.timeout)
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

    def _decide(self, claimed: Claimed, kind: Kind, ctx: JobContext, result: Any, ran: float) -> Settlement | None:
        if ctx.completed:
            return fate.complete(claimed, kind.policy)
        if isinstance(result, LeaseLost):
            self._telemetry.lease_lost(claimed)
            return None
        if isinstance(result, _Stopped):
            match result.why:
                case "cancel":
                    result = fate.Cancel("cancelled while running")
                case "lease":
                    return None  # another worker has it by now
                case "shutdown":
                    return fate.give_back(claimed)
                case _:
                    result = JobTimeout(f"the job ran longer than its timeout of {result.timeout:g} s")
        if isinstance(result, pybreaker.CircuitBreakerError):
            result = fate.Snooze(f"{_BREAKER_PAUSE}s", f"circuit open: {describe(result).error}")
        if isinstance(result, DatabaseUnavailable):
            result = fate.Snooze(f"{_DATABASE_PAUSE}s", describe(result).error)
        try:
            return fate.decide(claimed, kind.policy, result, ran=ran, scale=self._scale)
        except Exception as error:  # noqa: BLE001 - an outcome that says nonsense (a delay without unit) is a failed attempt
            return fate.decide(claimed, kind.policy, error, ran=ran, scale=self._scale)

    def close(self) -> None:
        """Let the threads go; one that ignores its end dies with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_thread(run: Callable[[object, JobContext], Any], handle: object, ctx: JobContext) -> Any:
    """Run in a thread; errors come back as values, because a future refuses some of them (StopIteration)."""
    try:
        return run(handle, ctx)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is a failed attempt, SystemExit too
        return error


def _warn_of_ignored(ctx: JobContext, result: object) -> None:
    """Say loudly what came too late: the commit of `ctx.transaction` was the job's outcome."""
    if result is None or isinstance(result, (fate.Done, _Stopped)):
        return
    ctx.log.error(
        "job.outcome_ignored",
        outcome=type(result).__name__,
        error=describe(result).error if isinstance(result, BaseException) else "",
        hint="the job had already completed in ctx.transaction(); return None after it, and enqueue what follows "
        "inside the block with queue.enqueue(session, …)",
    )


class _Stopped(BaseException):
    """A run that was ended from outside."""

    def __init__(self, why: str, timeout: float) -> None:
        self.why = why
        self.timeout = timeout


def _invalid(error: Exception) -> Failure:
    """Describe arguments that cannot be read, without repeating their values."""
    if isinstance(error, ValidationError):
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors(include_url=False)[:10]
        )
        return Failure("InvalidArguments", storable(faults, MOST_ERROR))
    return Failure("InvalidArguments", f"the arguments cannot be read: {type(error).__name__}")
