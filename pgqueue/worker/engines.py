"""SQLAlchemy engines for what jobs do in transactions, made when first needed.

So is SQLAlchemy imported: a worker whose jobs have no transactions is without its 20 MB.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.db import sqlalchemy_url
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

T = TypeVar("T")
_ISOLATION = {"isolation_level": "READ COMMITTED"}
# Nothing else ends it: a frozen process still answers the server's keepalives, and those of a host that is gone go
# unanswered for two hours by default. What the role or the server set narrower stays.
_IDLE_AT_MOST = """
    SELECT set_config('idle_in_transaction_session_timeout', (:milliseconds)::text, true)
    WHERE current_setting('idle_in_transaction_session_timeout')::interval
      NOT BETWEEN interval '1 ms' AND (:milliseconds) * interval '1 ms'
"""
IDLE = 60.0  # seconds
_LONGEST = 2**31 - 1  # milliseconds that PostgreSQL takes
_IDENTITY = "SELECT current_database(), (SELECT system_identifier FROM pg_catalog.pg_control_system())"


class Engines:
    """A Session and an AsyncSession on the queue's database."""

    def __init__(self, url: str, concurrency: int, engine: sa.Engine | None, async_engine: AsyncEngine | None) -> None:
        """Open nothing; the App's own engines are taken if it has them."""
        self._url = sqlalchemy_url(url)
        # no ping: the first statement of a transaction is ours, and says as well that the connection is broken
        self._made = {"pool_size": 5, "max_overflow": concurrency, **_ISOLATION}
        self._given = engine, async_engine
        self._engine = engine
        self._async_engine = async_engine
        self._checked: set[str] = set()

    def session(self, idle: float = IDLE, /) -> Session:
        """Return a session at READ COMMITTED, whatever the engine's default is.

        The server ends its transaction when nothing comes for ``idle`` seconds: else a process that is frozen in it
        would keep what it locked, and the job, from everybody.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import DBAPIError

        if self._engine is None:
            self._engine = create_engine(self._url, **self._made)
        if self._given[0] is not None:
            self._check(self._given[0].url)
        try:
            return self._begun(self._engine, idle)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._begun(self._engine, idle)  # the pool has let go of all connections of that age

    def _begun(self, engine: sa.Engine, idle: float) -> Session:
        from sqlalchemy import text
        from sqlalchemy.orm import Session

        session = Session(engine, expire_on_commit=False)
        try:
            isolation = _ISOLATION if self._given[0] is not None else None
            session.connection(execution_options=isolation).execute(text(_IDLE_AT_MOST), _milliseconds(idle))
        except BaseException:
            session.close()
            raise
        return session

    async def async_session(self, idle: float = IDLE, /) -> AsyncSession:
        """Return the same as an asynchronous session."""
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.ext.asyncio import create_async_engine

        if self._async_engine is None:
            self._async_engine = create_async_engine(self._url, **self._made)
        if self._given[1] is not None:
            self._check(self._given[1].url)
        try:
            return await self._begun_async(self._async_engine, idle)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._begun_async(self._async_engine, idle)

    async def _begun_async(self, engine: AsyncEngine, idle: float) -> AsyncSession:
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import AsyncSession

        session = AsyncSession(engine, expire_on_commit=False)
        try:
            isolation = _ISOLATION if self._given[1] is not None else None
            connection = await session.connection(execution_options=isolation)
            await connection.execute(text(_IDLE_AT_MOST), _milliseconds(idle))
        except BaseException:
            async with session:  # closes to the end, although a second cancellation may come
                raise
        return session

    def _check(self, url: sa.URL) -> None:
        """Refuse an App whose engine is on another database: effects and completion would not be one commit."""
        from sqlalchemy import NullPool, create_engine, text

        address = url.set(drivername="postgresql+psycopg")
        known = address.render_as_string()
        if known in self._checked:
            return
        ours, theirs = (create_engine(each, poolclass=NullPool) for each in (self._url, address))
        try:
            with ours.connect() as one, theirs.connect() as other:
                same = one.execute(text(_IDENTITY)).one() == other.execute(text(_IDENTITY)).one()
        finally:
            ours.dispose()
            theirs.dispose()
        if not same:
            raise ConfigurationError(
                "ctx.transaction() needs the App's engine and the queue on one database; they are on two. "
                "Use your own session and make the job idempotent by a state check or a key"
            )
        self._checked.add(known)

    async def close(self) -> None:
        """Close what was made here."""
        if self._engine is not None and self._given[0] is None:
            self._engine.dispose()
        if self._async_engine is not None and self._given[1] is None:
            await self._async_engine.dispose()


def _milliseconds(seconds: float) -> dict[str, int]:
    return {"milliseconds": max(1, min(int(seconds * 1000), _LONGEST))}


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await a commit to its end; a cancellation is heard afterwards.

    Broken off, nobody would know whether it has happened, and the pool would write an error about a connection that
    came back in the middle of something.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        task.result()  # that it has failed is the greater news
        raise
