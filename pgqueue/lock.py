"""A lock with a time to live and a fence: for work outside the database that must not run twice at once.

It lives in PostgreSQL without a transaction or a session behind it: each verb opens a connection of its own for one
statement. Whoever dies with it blocks nobody for longer than its time to live.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from pgqueue.context import checked_key
from pgqueue.db import connect, connect_async, run, run_async
from pgqueue.duration import Duration, duration
from pgqueue.errors import ConfigurationError, DatabaseUnavailable, LockLost, LockTaken
from pgqueue.queries.effects import Effects, Taken

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pgqueue.db import AsyncTransaction, Query, SyncTransaction, T
    from pgqueue.settings import Settings

_NAME = "pgqueue lock"


class _Face:
    """What both faces share: everything but the I/O."""

    def __init__(self, settings: Settings, name: str, ttl: Duration, url: str | None) -> None:
        """Open nothing. Raises ConfigurationError without an address, InvalidJob for a name that cannot be stored."""
        self.name = checked_key(name, "the name of a lock")
        self.ttl = duration(ttl, what="a lock's ttl")
        if self.ttl < timedelta(seconds=1):
            raise ConfigurationError(f"a lock's ttl is {ttl!r}; it must be at least one second")
        address = url or settings.database_url
        if not address or address.startswith("embedded:"):
            raise ConfigurationError(
                "a lock opens connections of its own and needs an address: set PGQUEUE_DATABASE_URL or pass url="
            )
        self._address = address
        self._effects = Effects(settings.schema_name)
        self.fence: int | None = None
        """Grows from holder to holder: a system that keeps the highest it saw can refuse a stale one."""
        self._left = 0.0

    def _took(self, taken: Taken) -> bool:
        if taken.fence is None:
            self._left = taken.seconds_left or 0.0
            return False
        self.fence = taken.fence
        return True

    def _mine(self) -> int:
        if self.fence is None:
            raise LockLost(f"the lock {self.name!r} is not held; acquire it first")
        return self.fence

    def _refused(self) -> LockTaken:
        text = f"somebody holds the lock {self.name!r} for at most {self._left:.1f} s; do it later, or not at all"
        return LockTaken(text, retry_after=timedelta(seconds=self._left))

    def _keep(self, *, held: bool) -> None:
        if not held:
            self.fence = None
            raise LockLost(f"the lock {self.name!r} has expired or was taken over; what it guarded must be rolled back")


class Lock(_Face):
    """A lock for code that is not asynchronous; as a context manager it raises LockTaken if somebody has it."""

    def acquire(self) -> bool:
        """Take the lock if it is free; never waits for its holder."""
        return self._took(self._send(self._effects.acquire(self.name, self.ttl)))

    def extend(self) -> None:
        """Let it live on for its ttl from now. Raises LockLost."""
        self._keep(held=self._send(self._effects.extend(self.name, self._mine(), self.ttl)))

    def release(self) -> bool:
        """Give it back; False: it was not ours any more, or an open transaction has asserted it (it then expires)."""
        fence, self.fence = self._mine(), None
        return self._send(self._effects.release(self.name, fence))

    def assert_held(self, conn: SyncTransaction) -> None:
        """Make sure of it inside a transaction: nobody takes the lock over before that has ended. Raises LockLost."""
        self._keep(held=run(conn, self._effects.held(self.name, self._mine())))

    def _send(self, query: Query[T]) -> T:
        with contextlib.closing(connect(self._address, name=_NAME)) as conn:
            return run(conn, query)

    def __enter__(self) -> Self:
        """Acquire. Raises LockTaken."""
        if not self.acquire():
            raise self._refused()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release; should the database be away, it expires."""
        if self.fence is not None:
            with contextlib.suppress(DatabaseUnavailable, psycopg.OperationalError):
                self.release()


class AsyncLock(_Face):
    """The verbs of `Lock`, awaited."""

    async def acquire(self) -> bool:
        """Take the lock if it is free; see `Lock.acquire`."""
        return self._took(await self._send(self._effects.acquire(self.name, self.ttl)))

    async def extend(self) -> None:
        """Let it live on; see `Lock.extend`."""
        self._keep(held=await self._send(self._effects.extend(self.name, self._mine(), self.ttl)))

    async def release(self) -> bool:
        """Give it back; see `Lock.release`."""
        fence, self.fence = self._mine(), None
        return await self._send(self._effects.release(self.name, fence))

    async def assert_held(self, conn: AsyncTransaction) -> None:
        """Make sure of it inside a transaction; see `Lock.assert_held`."""
        self._keep(held=await run_async(conn, self._effects.held(self.name, self._mine())))

    async def _send(self, query: Query[T]) -> T:
        async with await connect_async(self._address, name=_NAME, prepare=False) as conn:
            return await run_async(conn, query)

    async def __aenter__(self) -> Self:
        """Acquire. Raises LockTaken."""
        if not await self.acquire():
            raise self._refused()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release; should the database be away, it expires."""
        if self.fence is not None:
            with contextlib.suppress(DatabaseUnavailable, psycopg.OperationalError):
                await self.release()
