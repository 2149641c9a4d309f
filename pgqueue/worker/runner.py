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
from pgqueue.errors import JobTimeout, LeaseLost
from pgqueue.failure import MOST_ERROR, Failure, describe, storable
from pgqueue.worker.context import JobContext

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.job import Job
    from pgqueue.outcome import Claimed, Outcome, Settlement
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.engines import Engines

_BREAKER_PAUSE = 15.0  # seconds; an open circuit is nobody's fault, so the job only waits


class Kind:
    """What the runner needs of a kind, looked up once."""

    __slots__ = ("cls", "is_async", "on_dead", "policy", "timeout", "version")

    def __init__(self, cls: type[Job], timeout: float) -> None:
        """Inspect the class."""
        self.cls = cls
        self.policy = cls.policy
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
        self.kinds = {name: Kind(cls, app.timeout_of(cls)) for name, cls in app.kinds.items()}
        self.handle: object = None
        self.running: dict[int, Running] = {}
        self._scale = settings.time_scale
        self._engines = engines
        self._lifecycle = lifecycle
        self._telemetry = telemetry
        self._threads = ThreadPoolExecutor(settings.concurrency * 2, thread_name_prefix="pgqueue job")

    async def run(self, claimed: Claimed) -> tuple[Settlement | None, Job | None]:
        """Run one job and return how to settle it (None: its own transaction did) and a job that follows it."""
        kind = self.kinds.get(claimed.kind)
        if kind is None or claimed.payload_version > kind.version:
            return fate.refuse(claimed, self._scale), None
        if claimed.cancel_requested:
            return fate.decide(claimed, kind.policy, fate.Cancel("cancelled while its worker was lost")), None
        if claimed.doomed is not None:
            told = f"{claimed.crashes} workers were lost while running this job"
            return fate.bury(claimed, "crashed", Failure("WorkerLost", told)), None
        try:
            job = kind.decode(claimed)
        except (ValidationError, ValueError, RecursionError, TypeError, KeyError) as error:
            return fate.bury(claimed, "invalid", _invalid(error)), None
        began = time.monotonic()
        self._telemetry.started(claimed)
        ctx = JobContext(claimed, kind.policy, kind.timeout, self._engines, self._lifecycle)
        result = await self._call(kind, job, ctx)
        ran = time.monotonic() - began
        settlement = self._decide(claimed, kind, ctx, result, ran)
        if settlement is not None:
            self._telemetry.settled(claimed, settlement, ran)
        follower = result.job if isinstance(result, fate.Continue) and not ctx.completed else None
        return (None if ctx.completed else settlement), follower

    async def _call(self, kind: Kind, job: Job, ctx: JobContext) -> Outcome | BaseException | None:
        """Call ``run`` under its deadline; what it raises becomes a value."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - runners are tasks
        running = Running(ctx._claimed, ctx, time.monotonic() + kind.timeout, task)  # noqa: SLF001 - made here
        self.running[ctx.job_id] = running
        token = ambient.set(ctx)
        try:
            if kind.is_async:
                return await job.run(self.handle, ctx)  # type: ignore[attr-defined, no-any-return]  # each class has its own
            call = partial(copy_context().run, job.run, self.handle, ctx)  # type: ignore[attr-defined]  # each class has its own
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except asyncio.CancelledError:
            if running.stopped is None:
                raise  # not ours: the process is ending
            task.uncancel()
            return _Stopped(running.stopped, kind.timeout)
        except (SystemExit, KeyboardInterrupt) as error:
            return error  # a job does not decide about its worker
        except Exception as error:  # noqa: BLE001 - whatever a job raises is a failed attempt
            return error
        finally:
            if running.stopped is not None:
                task.uncancel()
            ambient.reset(token)
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
        return fate.decide(claimed, kind.policy, result, ran=ran, scale=self._scale)

    def close(self) -> None:
        """Let the threads go; one that ignores its end dies with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
