"""One transaction of the domain: its rows, its events and its jobs are committed together or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from domain.events import Event
    from pgqueue import AsyncQueue, Context, Job
    from pgqueue.duration import Duration


_ENCLOSING: Final[ContextVar[async_sessionmaker[AsyncSession] | None]] = ContextVar("enclosing", default=None)


class Listener(Protocol):
    """What reacts to events: it may dispatch jobs, nothing else."""

    async def __call__(self, uow: UnitOfWork, event: Event, /) -> None:
        """React inside the transaction."""


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """A session, the context it works for, and the two things a use case may cause."""

    session: AsyncSession
    context: Context
    _queue: AsyncQueue
    _listen: Listener

    @property
    def organization_id(self) -> UUID:
        """The tenant that every row of this transaction belongs to."""
        return UUID(self.context.organization_id)

    @property
    def user_id(self) -> UUID:
        """The user on whose behalf this happens."""
        return UUID(self.context.user_id)

    def within(self, context: Context) -> UnitOfWork:
        """Speak for somebody else in the same transaction."""
        return replace(self, context=context)

    async def publish(self, event: Event) -> None:
        """Let the listeners react now, inside this transaction."""
        await self._listen(self, event)

    async def dispatch(
        self,
        job: Job,
        *,
        run_at: datetime | None = None,
        delay: Duration | None = None,
        context: Context | None = None,
    ) -> int:
        """Enqueue a job in this transaction and return its id."""
        # the job goes through the driver, which does not know what the session has not written yet
        await self.session.flush()
        return await self._queue.enqueue(self.session, job, context=context or self.context, run_at=run_at, delay=delay)


@dataclass(frozen=True, slots=True)
class UnitsOfWork:
    """Opens units of work, or makes one of a transaction that somebody else opened."""

    sessions: async_sessionmaker[AsyncSession]
    queue: AsyncQueue
    listen: Listener

    @asynccontextmanager
    async def begin(self, context: Context) -> AsyncIterator[UnitOfWork]:
        """Open a transaction; it commits at the end of the block. Inside `as_one` it is a part of that transaction."""
        async with (_ENCLOSING.get() or self.sessions).begin() as session:
            yield self.join(session, context)

    @asynccontextmanager
    async def as_one(self, context: Context) -> AsyncIterator[UnitOfWork]:
        """Make every unit of work that begins inside this block a savepoint of one transaction.

        All that is begun by this task commits with the block, or nothing does. Not for what calls the outside world:
        the transaction would be open meanwhile.
        """
        async with self.sessions.begin() as session:
            inside = async_sessionmaker(
                await session.connection(), expire_on_commit=False, join_transaction_mode="create_savepoint"
            )
            token = _ENCLOSING.set(inside)
            try:
                yield self.join(session, context)
            finally:
                _ENCLOSING.reset(token)
            if self.queue.waker is not None:
                self.queue.waker.after_commit(session)  # the hints of the parts came before the jobs can be seen

    def join(self, session: AsyncSession, context: Context) -> UnitOfWork:
        """Work in a transaction that the queue opened (``ctx.transaction()``, ``on_dead``)."""
        return UnitOfWork(session, context, self.queue, self.listen)
