"""What a running job knows of itself, and the transaction in which it may complete."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from pgqueue.context import Context
from pgqueue.db import is_connection_lost, run, run_async
from pgqueue.errors import DatabaseUnavailable, LeaseLost, PgqueueError
from pgqueue.failure import describe
from pgqueue.outcome import complete
from pgqueue.worker.engines import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from pgqueue.db import AsyncTransaction, SyncTransaction
    from pgqueue.outcome import Claimed
    from pgqueue.policy import Policy
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.worker.engines import Engines


class JobContext:
    """The running job: identity, budget, tenant, transaction. Everything expensive is made when asked for."""

    __slots__ = (
        "_claimed",
        "_context",
        "_engines",
        "_lifecycle",
        "_policy",
        "_started",
        "_timeout",
        "cancelled",
        "completed",
    )

    def __init__(
        self, claimed: Claimed, policy: Policy, timeout: float, engines: Engines, lifecycle: Lifecycle
    ) -> None:
        """Made by the worker."""
        self._claimed = claimed
        self._policy = policy
        self._timeout = timeout
        self._engines = engines
        self._lifecycle = lifecycle
        self._started = time.monotonic()
        self._context: Context | None = None
        self.cancelled = False
        """Somebody cancelled the job, its time is over, or its lease is in danger: end soon."""
        self.completed = False
        """The job's completion is already committed, together with its effects."""

    @property
    def job_id(self) -> int:
        """The id that `Queue.enqueue` returned."""
        return self._claimed.id

    @property
    def idempotency_key(self) -> str:
        """The same text on every attempt: give it to other systems so that they do things once."""
        return f"pgqueue-{self._claimed.id}"

    @property
    def fence(self) -> int:
        """Grows with every claim: a system that keeps the highest it saw can refuse a stale worker."""
        return self._claimed.claims

    @property
    def kind(self) -> str:
        """The kind of the job."""
        return self._claimed.kind

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._claimed.queue

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._claimed.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts there are."""
        return self._claimed.max_attempts or self._policy.retry.max_attempts

    @property
    def organization_id(self) -> str:
        """The tenant."""
        return self._claimed.organization_id

    @property
    def user_id(self) -> str:
        """Who started the operation."""
        return self._claimed.user_id

    @property
    def correlation_id(self) -> UUID:
        """The chain of operations."""
        return UUID(self._claimed.correlation_id)

    @property
    def trace_id(self) -> UUID:
        """One dispatch: new for each."""
        return UUID(self._claimed.trace_id)

    @property
    def enqueued_at(self) -> datetime:
        """When it was enqueued, by the database's clock."""
        return datetime.fromtimestamp(self._claimed.enqueued, UTC)

    @property
    def seconds_left(self) -> float:
        """How long the job may still run."""
        return self._timeout - (time.monotonic() - self._started)

    @property
    def context(self) -> Context:
        """What children enqueued in ``run`` inherit without asking."""
        if self._context is None:
            self._context = Context(self.organization_id, self.user_id, self.correlation_id)
        return self._context

    @property
    def log(self) -> Any:
        """A logger that knows the job."""
        claimed = self._claimed
        return structlog.get_logger("pgqueue.job").bind(
            jobClass=claimed.kind,
            jobId=str(claimed.id),
            queue=claimed.queue,
            organizationId=claimed.organization_id,
            userId=claimed.user_id,
            correlationId=claimed.correlation_id,
            traceId=claimed.trace_id,
        )

    def tick(self, conn: SyncTransaction) -> datetime | None:
        """Return the tick of its schedule that the job is for, read on a connection to the queue's database.

        Of a run that somebody asked for: that moment. None: it is of no schedule, or the ledger no longer has it.
        """
        return run(conn, self._lifecycle.tick_of(self.job_id))

    async def tick_async(self, conn: AsyncTransaction) -> datetime | None:
        """Return the tick; see `tick`."""
        return await run_async(conn, self._lifecycle.tick_of(self.job_id))

    def transaction(self) -> JobTransaction:
        """Open the transaction in which the job's effects and its completion are committed together.

        ``async with ctx.transaction() as session:`` gives an AsyncSession, ``with`` a Session. When the block ends
        without an exception the job is complete; at most once per run.

        Raises:
            LeaseLost: at the end of the block, when another worker has the job; everything is rolled back.

        """
        if self.completed:
            raise PgqueueError(
                "the job is already complete; do everything that belongs together in one ctx.transaction()"
            )
        return JobTransaction(self)


class JobTransaction:
    """See `JobContext.transaction`."""

    def __init__(self, ctx: JobContext) -> None:
        """Open nothing yet."""
        self._ctx = ctx
        self._session: Any = None
        self._settle = ctx._lifecycle.settle([complete(ctx._claimed, ctx._policy)])  # noqa: SLF001 - its other half

    def __enter__(self) -> Session:
        """Begin."""
        with _reaching():
            self._session = self._ctx._engines.session(self._ctx._timeout)  # noqa: SLF001 - its other half
        return self._session  # type: ignore[no-any-return]  # Session or AsyncSession, by the way it is entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the job and commit, or roll back."""
        with _reaching(), self._session as session:  # closing rolls back, which a broken link refuses, too
            if error is None:
                session.flush()
                self._check(run(session, self._settle))
                session.commit()
                self._ctx.completed = True

    async def __aenter__(self) -> AsyncSession:
        """Begin."""
        with _reaching():
            self._session = await self._ctx._engines.async_session(self._ctx._timeout)  # noqa: SLF001 - its other half
        return self._session  # type: ignore[no-any-return]  # Session or AsyncSession, by the way it is entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the job and commit, or roll back."""
        with _reaching():
            async with self._session as session:
                if error is None:
                    await session.flush()
                    self._check(await run_async(session, self._settle))
                    await uninterrupted(self._commit(session))

    async def _commit(self, session: AsyncSession) -> None:
        await session.commit()
        self._ctx.completed = True  # also if the run was told to end meanwhile

    def _check(self, lost: list[int]) -> None:
        if lost:
            raise LeaseLost(f"job {self._ctx.job_id} was given to another worker; its transaction was rolled back")


@contextmanager
def _reaching() -> Iterator[None]:
    """Tell a database that is away apart from errors of the job: only here it is known whose database it was."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps what psycopg raises
        if getattr(error, "connection_invalidated", False) or is_connection_lost(cause):
            raise DatabaseUnavailable(
                f"the queue's database was away in ctx.transaction() ({describe(cause).error.strip()}); "
                "nothing was spent, the job runs again"
            ) from error
        raise
