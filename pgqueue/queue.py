"""The two faces of the queue for applications: `Queue` and `AsyncQueue`, the same verbs.

Every verb takes the caller's own connection first and works inside its transaction: it never commits, never opens one.
"""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pgqueue import bulk
from pgqueue.context import Context, checked_note, required_context
from pgqueue.db import async_driver_connection, driver_connection, run, run_async
from pgqueue.effects import AsyncEffects, SyncEffects
from pgqueue.errors import UnknownQueue
from pgqueue.job import checked_id, checked_ids, checked_job
from pgqueue.limit import elements
from pgqueue.payload import encode
from pgqueue.policy import LANES, checked_priority
from pgqueue.queries.control import Control
from pgqueue.queries.lifecycle import Lifecycle, Own, Shared
from pgqueue.settings import Settings
from pgqueue.unique import Uniqueness
from pgqueue.wake import Waker, outbox_channel
from pgqueue.when import when

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    import psycopg

    from pgqueue.db import AsyncTransaction, Query, SyncTransaction
    from pgqueue.duration import Duration
    from pgqueue.job import Job
    from pgqueue.policy import Priority
    from pgqueue.when import When

Wake = Literal["commit", "transaction", "off"]


class _Face:
    """What both faces share: everything but the I/O."""

    def __init__(self, settings: Settings | None = None, *, wake: Wake = "commit") -> None:
        """Open nothing.

        Args:
            settings: default: those of the environment.
            wake: how idle workers hear of a job before they poll. "commit": after a SQLAlchemy session's commit, on a
                connection of the queue's own. "transaction": NOTIFY in the caller's transaction; it works with every
                kind of connection, but takes a lock at commit that is global to the server. "off": they poll.

        """
        self.settings = settings or Settings()
        self.waker = Waker(self.settings) if wake == "commit" else None
        self._in_transaction = wake == "transaction"
        self._lifecycle = Lifecycle(self.settings.schema_name)
        self._control = Control(self.settings.schema_name)
        self._encode = partial(encode, most_bytes=self.settings.max_payload_bytes, secrets=self.settings.secrets)
        self._hint = self._control.wake(outbox_channel(self.settings.schema_name), "")

    def _row(self, job: Job, context: Context, due: When, *, priority: Priority | None = None) -> tuple[Shared, Own]:
        return self._shared(job, context, due, priority), self._own(job, context)

    def _shared(self, job: Job, context: Context, due: When, priority: Priority | None) -> Shared:
        policy = checked_job(job).policy
        if policy.queue not in self.settings.queues:
            known = ", ".join(sorted(self.settings.queues))
            raise UnknownQueue(
                f"{job.kind} goes to the queue {policy.queue!r}, which the settings do not name; known: {known}"
            )
        unique = policy.unique
        said = unique.said if unique else Uniqueness()
        return Shared(
            run_at=due[0],
            delay=unique.wait if unique and due == (None, None) else due[1],
            max_age=policy.max_age,
            payload_version=policy.version,
            max_attempts=policy.retry.max_attempts,
            priority=LANES[checked_priority(priority, "priority") or policy.priority],
            correlation_id=context.correlation_id,
            queue=policy.queue,
            kind=job.kind,
            organization_id=context.organization_id,
            user_id=context.user_id,
            cost=policy.cost,
            **said._asdict(),
        )

    def _own(self, job: Job, context: Context) -> Own:
        kind, policy = job.kind, job.policy
        fields = job.model_dump(mode="python", round_trip=True)
        return Own(
            limits=elements(policy.limit, kind, context, fields),
            unique_hash=policy.unique.hash(kind, context.organization_id, fields) if policy.unique else None,
            args=self._encode(kind, fields, safe=policy.safe),
        )

    def _cancel(self, job_id: int, reason: str, by: str) -> Query[str | None]:
        return self._control.cancel(checked_id(job_id), reason=checked_note(reason), by=checked_note(by))

    def _discard(self, job_ids: Iterable[int], by: str, reason: str) -> Query[list[int]]:
        return self._control.discard_dead(checked_ids(job_ids), by=checked_note(by), reason=checked_note(reason))

    def _context(self, given: Context | None) -> Context:
        return required_context(given, self.settings.default_organization_id, self.settings.default_user_id)

    def _bulk(self, jobs: Iterable[Job], given: Context | None, due: When, priority: Priority | None) -> bulk.Rows:
        context = self._context(given)
        return bulk.Rows(
            list(jobs),
            partial(self._shared, context=context, due=due, priority=priority),
            partial(self._own, context=context),
        )


class Queue(_Face, SyncEffects):
    """The queue for code that is not asynchronous."""

    def enqueue(
        self,
        conn: SyncTransaction,
        job: Job,
        *,
        context: Context | None = None,
        run_at: dt.datetime | None = None,
        delay: Duration | None = None,
        priority: Priority | None = None,
    ) -> int:
        """Enqueue ``job`` in the transaction of ``conn`` and return its id: it exists if and only if that commits.

        Raises:
            InvalidJob: arguments or times that cannot be stored; MissingContext, SecretInArguments likewise.
            TransactionUnusable: the connection is closed, its transaction failed, or its type is unknown.

        """
        shared, own = self._row(job, self._context(context), when(run_at, delay), priority=priority)
        job_id = run(conn, self._lifecycle.enqueue(shared, own, _trace()))
        self._wake(conn)
        return job_id

    def enqueue_many(
        self,
        conn: SyncTransaction,
        jobs: Iterable[Job],
        *,
        context: Context | None = None,
        run_at: dt.datetime | None = None,
        delay: Duration | None = None,
        priority: Priority | None = None,
    ) -> list[int]:
        """Enqueue many jobs with COPY and return their ids in order."""
        rows = self._bulk(jobs, context, when(run_at, delay), priority)
        if not rows.jobs:
            return []
        ids = self._copy(driver_connection(conn), rows)
        self._wake(conn)
        return ids

    def _copy(self, driver: psycopg.Connection[Any], rows: bulk.Rows) -> list[int]:
        """COPY the rows, then read the ids that the database gave them."""
        pieces = rows.pieces()
        piece = next(pieces)
        after = run(driver, self._lifecycle.last_job_id())
        with driver.transaction() if _needs_block(driver, rows) else nullcontext():
            with driver.cursor() as cursor, cursor.copy(self._lifecycle.copy().sql) as copy:
                copy.write(piece)
                for piece in pieces:
                    copy.write(piece)
            return run(driver, self._lifecycle.enqueued_ids(after, rows.first, rows.last))

    def _wake(self, conn: SyncTransaction) -> None:
        if self.waker:
            self.waker.after_commit(conn)
        elif self._in_transaction:
            run(conn, self._hint)

    def cancel(self, conn: SyncTransaction, job_id: int, *, reason: str = "", by: str = "") -> str | None:
        """Cancel a job: "cancelled" at once, "asked" if it is running, None if there is no such live job.

        "merged": another job does its work, and goes on; somebody else may want it. ``by`` is recorded.
        """
        return run(conn, self._cancel(job_id, reason, by))

    def requeue(self, conn: SyncTransaction, job_ids: Iterable[int], *, by: str) -> list[int]:
        """Give dead jobs another life, with a fresh budget of attempts; returns those that live again."""
        return run(conn, self._control.requeue(checked_ids(job_ids), by=checked_note(by)))

    def discard(self, conn: SyncTransaction, job_ids: Iterable[int], *, by: str, reason: str = "") -> list[int]:
        """End dead jobs as discarded; returns the ids that were dead."""
        return run(conn, self._discard(job_ids, by, reason))

    def pause(self, conn: SyncTransaction, queue: str, *, by: str = "") -> bool:
        """Stop claiming from a queue, on all hosts; False: there is no such queue."""
        who = checked_note(by)
        run(conn, self._control.know_queue(queue))
        return run(conn, self._control.pause(queue, by=who))

    def resume(self, conn: SyncTransaction, queue: str, *, by: str = "") -> bool:
        """Claim from a paused queue again; False: there is no such queue."""
        return run(conn, self._control.resume(queue, by=checked_note(by)))


class AsyncQueue(_Face, AsyncEffects):
    """The queue for asynchronous code: the verbs of `Queue`, awaited."""

    async def enqueue(
        self,
        conn: AsyncTransaction,
        job: Job,
        *,
        context: Context | None = None,
        run_at: dt.datetime | None = None,
        delay: Duration | None = None,
        priority: Priority | None = None,
    ) -> int:
        """Enqueue ``job`` in the transaction of ``conn``; see `Queue.enqueue`."""
        shared, own = self._row(job, self._context(context), when(run_at, delay), priority=priority)
        job_id = await run_async(conn, self._lifecycle.enqueue(shared, own, _trace()))
        await self._wake(conn)
        return job_id

    async def enqueue_many(
        self,
        conn: AsyncTransaction,
        jobs: Iterable[Job],
        *,
        context: Context | None = None,
        run_at: dt.datetime | None = None,
        delay: Duration | None = None,
        priority: Priority | None = None,
    ) -> list[int]:
        """Enqueue many jobs with COPY and return their ids in order."""
        rows = self._bulk(jobs, context, when(run_at, delay), priority)
        if not rows.jobs:
            return []
        ids = await self._copy(await async_driver_connection(conn), rows)
        await self._wake(conn)
        return ids

    async def _copy(self, driver: psycopg.AsyncConnection[Any], rows: bulk.Rows) -> list[int]:
        """COPY the rows, then read the ids that the database gave them."""
        pieces = rows.pieces()
        piece = next(pieces)
        after = await run_async(driver, self._lifecycle.last_job_id())
        async with driver.transaction() if _needs_block(driver, rows) else nullcontext():
            async with driver.cursor() as cursor, cursor.copy(self._lifecycle.copy().sql) as copy:
                await copy.write(piece)
                for piece in pieces:
                    await copy.write(piece)
            return await run_async(driver, self._lifecycle.enqueued_ids(after, rows.first, rows.last))

    async def _wake(self, conn: AsyncTransaction) -> None:
        if self.waker:
            self.waker.after_commit(conn)
        elif self._in_transaction:
            await run_async(conn, self._hint)

    async def cancel(self, conn: AsyncTransaction, job_id: int, *, reason: str = "", by: str = "") -> str | None:
        """Cancel a job; see `Queue.cancel`."""
        return await run_async(conn, self._cancel(job_id, reason, by))

    async def requeue(self, conn: AsyncTransaction, job_ids: Iterable[int], *, by: str) -> list[int]:
        """Give dead jobs another life; see `Queue.requeue`."""
        return await run_async(conn, self._control.requeue(checked_ids(job_ids), by=checked_note(by)))

    async def discard(self, conn: AsyncTransaction, job_ids: Iterable[int], *, by: str, reason: str = "") -> list[int]:
        """End dead jobs as discarded; see `Queue.discard`."""
        return await run_async(conn, self._discard(job_ids, by, reason))

    async def pause(self, conn: AsyncTransaction, queue: str, *, by: str = "") -> bool:
        """Stop claiming from a queue; see `Queue.pause`."""
        who = checked_note(by)
        await run_async(conn, self._control.know_queue(queue))
        return await run_async(conn, self._control.pause(queue, by=who))

    async def resume(self, conn: AsyncTransaction, queue: str, *, by: str = "") -> bool:
        """Claim from a paused queue again; see `Queue.resume`."""
        return await run_async(conn, self._control.resume(queue, by=checked_note(by)))


def _trace() -> UUID:
    return UUID(int=secrets.randbits(128))


def _needs_block(driver: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], rows: bulk.Rows) -> bool:
    """Tell whether a COPY needs a savepoint, to take back what was sent before a bad job; or a transaction of its own.

    Without one, on a connection that commits by itself, a relay could take the rows before their ids are read.
    """
    alone = driver.autocommit and driver.info.transaction_status == driver.info.transaction_status.IDLE
    return alone or not rows.fit_at_once
