"""Endings that are more than one statement: a burial with `on_dead` and listeners, a job that another follows."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import structlog

from pgqueue.context import Context
from pgqueue.db import is_connection_lost, run, run_async
from pgqueue.errors import JobTimeout
from pgqueue.failure import describe
from pgqueue.job import Death, Job, JobFailed
from pgqueue.queries.upkeep import Upkeep
from pgqueue.queue import AsyncQueue, Queue
from pgqueue.worker.engines import IDLE, uninterrupted

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from pgqueue.app import App
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.worker.engines import Engines
    from pgqueue.worker.runner import Kind
    from pgqueue.worker.threads import Threads


_MOST_TRIES = 3  # calls of an `on_dead` that fails with what looks like a broken link


class Burial:
    """Settles one job in a transaction of its own, with what belongs to its end."""

    def __init__(self, app: App, engines: Engines, lifecycle: Lifecycle, threads: Threads) -> None:
        """Open nothing."""
        self.handle: object = None
        self._app = app
        self._engines = engines
        self._lifecycle = lifecycle
        self._upkeep = Upkeep(app.settings.schema_name)
        self._threads = threads
        self._most = app.settings.max_crashes
        self._backends: dict[int, int] = {}  # where the transactions of hooks in threads run
        self._queue = Queue(app.settings, wake="off")
        self._async_queue = AsyncQueue(app.settings, wake="off")
        self._tries: dict[int, int] = {}  # how often the hook of a job was called

    def concerns(self, settlement: Settlement, kind: Kind | None) -> bool:
        """Tell whether this burial has anything to do beyond the row."""
        if settlement.moment != "bury":
            return False
        return bool(kind and kind.on_dead) or bool(self._listeners(kind))

    async def bury(self, claimed: Claimed, settlement: Settlement, kind: Kind | None) -> bool:
        """Bury with `on_dead` and listeners, all in one commit; False: the lease was lost.

        An `on_dead` that raises must not keep the job alive for ever: the job is buried without it, and that is logged.
        """
        with_hook = claimed.crashes <= self._most  # one more than doomed it: its burial took a process down, too
        if not with_hook:
            _tell_skipped(claimed, "processes ended while it ran")
        try:
            done = await self._bury(claimed, settlement, kind, with_hook=with_hook)
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the process is ending
            if is_transient(error) and self._tries.get(claimed.id, 0) < _MOST_TRIES:
                raise  # our database was away, or something that the hook needs: not for ever
            self._tries.pop(claimed.id, None)
            structlog.get_logger("pgqueue").error(
                "job.on_dead_failed", jobClass=claimed.kind, jobId=str(claimed.id), error=describe(error).error
            )
            return await self._bury(claimed, settlement, kind, with_hook=False)
        self._tries.pop(claimed.id, None)
        return done

    async def follow(self, claimed: Claimed, settlement: Settlement, job: Job) -> bool:
        """Complete the job and enqueue the one that follows, in one commit."""
        async with await self._engines.async_session() as session:
            if await run_async(session, self._lifecycle.settle([settlement])):
                return False
            await self._async_queue.enqueue(session, job, context=_context(claimed))
            await uninterrupted(session.commit())
        return True

    async def _bury(self, claimed: Claimed, settlement: Settlement, kind: Kind | None, *, with_hook: bool) -> bool:
        job = _decoded(claimed, kind) if with_hook and kind and kind.on_dead else None
        if job is not None and not inspect.iscoroutinefunction(kind.on_dead):  # type: ignore[union-attr]  # job says there is a kind
            return await self._bury_in_thread(claimed, settlement, kind, job)  # type: ignore[arg-type]  # job says there is a kind
        async with await self._engines.async_session(kind.timeout if kind else IDLE) as session:
            return await self._bury_async(session, claimed, settlement, kind, job)

    async def _bury_async(
        self, session: AsyncSession, claimed: Claimed, settlement: Settlement, kind: Kind | None, job: Job | None
    ) -> bool:
        if await run_async(session, self._lifecycle.settle([settlement])):
            return False
        if job is not None:
            await self._hook(job, session, _death(claimed, settlement), kind)
        for listener in self._listeners(kind):
            event = listener(**_event(claimed, settlement))
            await self._async_queue.enqueue(session, event, context=_context(claimed))
        await uninterrupted(session.commit())
        return True

    async def _hook(self, job: Job, session: AsyncSession, death: Death, kind: Kind | None) -> None:
        """Call an asynchronous `on_dead`; it has as long as a run of its job (a thread cannot be ended)."""
        self._tries[death.job_id] = self._tries.get(death.job_id, 0) + 1
        try:
            async with asyncio.timeout(kind.timeout if kind else None) as limit:
                await job.on_dead(self.handle, session, death)  # type: ignore[attr-defined]  # it has one
        except TimeoutError as error:
            if not limit.expired():
                raise  # it is the hook's own
            raise JobTimeout(f"on_dead of {death.kind} ran longer than the timeout of its job") from error

    async def _bury_in_thread(self, claimed: Claimed, settlement: Settlement, kind: Kind, job: Job) -> bool:
        """Call a plain `on_dead`; one that takes longer than a run of its job loses its transaction."""
        try:
            async with asyncio.timeout(kind.timeout) as limit:
                done = await self._threads.call(
                    claimed.id, kind.timeout, self._bury_here, claimed, settlement, kind, job
                )
        except TimeoutError as error:
            if not limit.expired():
                raise  # it is the hook's own
            await self._cut(claimed.id)
            raise JobTimeout(f"on_dead of {claimed.kind} ran longer than the timeout of its job") from error
        finally:
            self._backends.pop(claimed.id, None)
        if isinstance(done, BaseException):
            raise done
        return bool(done)

    async def _cut(self, job_id: int) -> None:
        """End the session of a hook that goes on in its thread: it holds the job's row, and must not commit later."""
        backend = self._backends.get(job_id)
        if backend is not None:
            async with await self._engines.async_session() as session:
                await run_async(session, self._upkeep.end_backend(backend))

    def _bury_here(self, claimed: Claimed, settlement: Settlement, kind: Kind | None, job: Job) -> bool:
        with self._engines.session(kind.timeout if kind else IDLE) as session:
            (self._backends[claimed.id],) = run(session, self._upkeep.backend())
            if run(session, self._lifecycle.settle([settlement])):
                return False
            self._tries[claimed.id] = self._tries.get(claimed.id, 0) + 1
            made = job.on_dead(self.handle, session, _death(claimed, settlement))  # type: ignore[attr-defined]  # it has one
            _refuse_awaitable(made)
            self._tell(session, claimed, settlement, kind)
            session.commit()
        return True

    def _tell(self, session: Session, claimed: Claimed, settlement: Settlement, kind: Kind | None) -> None:
        for listener in self._listeners(kind):
            self._queue.enqueue(session, listener(**_event(claimed, settlement)), context=_context(claimed))

    def _listeners(self, kind: Kind | None) -> tuple[type[JobFailed], ...]:
        """Return who hears of a burial; a dead listener tells nobody, or it would tell itself for ever."""
        if kind is not None and issubclass(kind.cls, JobFailed):
            return ()
        return self._app.on_job_failed


def _refuse_awaitable(made: object) -> None:
    """Refuse an `async def` behind a plain decorator: it looked like a `def`, and its Session would not fit it."""
    if inspect.isawaitable(made):
        if inspect.iscoroutine(made):
            made.close()
        raise TypeError("on_dead returned an awaitable; let its decorator be an `async def`, too")


def is_transient(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed when tried again: a broken link, a deadlock."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps what psycopg raises
    return is_connection_lost(cause) or isinstance(cause, psycopg.errors.TransactionRollback)


def _decoded(claimed: Claimed, kind: Kind) -> Job | None:
    try:
        return kind.decode(claimed)
    except Exception:  # noqa: BLE001 - the hook and the arguments are the application's
        _tell_skipped(claimed, "its arguments cannot be read")
        return None


def _tell_skipped(claimed: Claimed, reason: str) -> None:
    log = structlog.get_logger("pgqueue")
    log.warning("job.on_dead_skipped", jobClass=claimed.kind, jobId=str(claimed.id), reason=reason)


def _context(claimed: Claimed) -> Context:
    correlation = UUID(claimed.correlation_id)
    return Context(claimed.organization_id, claimed.user_id, correlation)


def _death(claimed: Claimed, settlement: Settlement) -> Death:
    error = settlement.failure.error if settlement.failure else ""
    return Death(claimed.id, claimed.kind, claimed.queue, settlement.reason, error, claimed.attempt, _context(claimed))


def _event(claimed: Claimed, settlement: Settlement) -> dict[str, object]:
    return {
        "job_id": claimed.id,
        "job_kind": claimed.kind,
        "job_queue": claimed.queue,
        "reason": settlement.reason,
        "error": settlement.failure.error if settlement.failure else "",
        "attempts": claimed.attempt,
    }
