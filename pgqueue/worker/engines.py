"""SQLAlchemy engines for what jobs do in transactions, made when first needed.

So is SQLAlchemy imported: a worker whose jobs have no transactions is without its 20 MB.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pgqueue.db import sqlalchemy_url
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

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
        self._pool = {"pool_size": 5, "max_overflow": concurrency, "pool_pre_ping": True}
        self._given = engine, async_engine
        self._engine = engine
        self._async_engine = async_engine
        self._checked: set[str] = set()

    def session(self, idle: float = IDLE, /) -> Session:
        """Return a session at READ COMMITTED, whatever the engine's default is.

        The server ends its transaction when nothing comes for ``idle`` seconds: else a process that is frozen in it
        would keep what it locked, and the job, from everybody.
        """
        from sqlalchemy import create_engine, text
        from sqlalchemy.orm import Session

        if self._engine is None:
            self._engine = create_engine(self._url, **self._pool)
        if self._given[0] is not None:
            self._check(self._given[0].url)
        session = Session(self._engine, expire_on_commit=False)
        try:
            session.connection(execution_options=_ISOLATION).execute(text(_IDLE_AT_MOST), _milliseconds(idle))
        except BaseException:
            session.close()
            raise
        return session

    async def async_session(self, idle: float = IDLE, /) -> AsyncSession:
        """Return the same as an asynchronous session."""
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        if self._async_engine is None:
            self._async_engine = create_async_engine(self._url, **self._pool)
        if self._given[1] is not None:
            self._check(self._given[1].url)
        session = AsyncSession(self._async_engine, expire_on_commit=False)
        try:
            connection = await session.connection(execution_options=_ISOLATION)
            await connection.execute(text(_IDLE_AT_MOST), _milliseconds(idle))
        except BaseException:
            await asyncio.shield(session.close())  # as its own `async with` does: a second cancellation may come
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
