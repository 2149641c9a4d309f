"""The test's own connection, as the parts of a worker need it: nothing here commits what the test will roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.db import run, run_async
from pgqueue.errors import ConfigurationError
from pgqueue.worker.engines import Engines

if TYPE_CHECKING:
    from sqlalchemy import Connection as SAConnection
    from sqlalchemy.ext.asyncio import AsyncConnection as SAAsyncConnection
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from pgqueue.db import AsyncTransaction, Query, SyncTransaction

T = TypeVar("T")

# Each commit of a session is the end of a savepoint; the test's own transaction goes on.
_INSIDE = {"join_transaction_mode": "create_savepoint", "expire_on_commit": False}
_URL = "postgresql://the.test's.own.connection"


class Ground(Engines):
    """What `Engines` gives, on the connection of a test."""

    def __init__(self) -> None:
        """Open nothing, now or later."""
        super().__init__(_URL, 1, None, None)

    async def run(self, query: Query[T]) -> T:
        """Send a query in the test's transaction."""
        raise NotImplementedError

    def session(self, _idle: float = 0.0, /) -> Session:
        """Return a session inside the test's transaction."""
        raise ConfigurationError(
            "this test's connection is asynchronous, and `with ctx.transaction()` needs a synchronous one: let "
            "pgqueue_connection give a Session or Connection for tests of this job (and take the fixture queue_tester)"
        )

    async def async_session(self, _idle: float = 0.0, /) -> AsyncSession:
        """Return an asynchronous session inside the test's transaction."""
        raise ConfigurationError(
            "this test's connection is synchronous, and `async with ctx.transaction()` needs an asynchronous one: let "
            "pgqueue_connection give an AsyncSession or AsyncConnection (and take the fixture async_queue_tester)"
        )

    def refresh(self) -> None:
        """Let the test's own session read again what jobs have changed."""


class NoGround(Ground):
    """No database at all."""

    async def run(self, query: Query[T]) -> T:
        """Refuse."""
        del query
        raise ConfigurationError(_NONE)

    def session(self, _idle: float = 0.0, /) -> Session:
        """Refuse."""
        raise ConfigurationError(_NONE)

    async def async_session(self, _idle: float = 0.0, /) -> AsyncSession:
        """Refuse."""
        raise ConfigurationError(_NONE)


_NONE = "this job opens ctx.transaction(), and there is no database here: perform it by the fixture queue_tester"


class SyncGround(Ground):
    """A test with a Session, a Connection or psycopg's connection."""

    def __init__(self, conn: SyncTransaction) -> None:
        """Keep it."""
        super().__init__()
        self.conn = conn

    async def run(self, query: Query[T]) -> T:
        """Send a query in the test's transaction."""
        return run(_outside(self.conn), query)

    def session(self, _idle: float = 0.0, /) -> Session:
        """Return a session inside the test's transaction."""
        from sqlalchemy.orm import Session

        return Session(bind=_connection(self.conn), **_INSIDE)  # type: ignore[arg-type]  # a Literal in a dict is a str

    def refresh(self) -> None:
        """Let the test's own session read again what jobs have changed."""
        from sqlalchemy.orm import Session, scoped_session

        conn: object = self.conn
        session = conn() if isinstance(conn, scoped_session) else conn
        if isinstance(session, Session):
            session.expire_all()


class AsyncGround(Ground):
    """A test with an AsyncSession, an AsyncConnection or psycopg's asynchronous connection."""

    def __init__(self, conn: AsyncTransaction) -> None:
        """Keep it."""
        super().__init__()
        self.conn = conn

    async def run(self, query: Query[T]) -> T:
        """Send a query in the test's transaction."""
        return await run_async(_outside_async(self.conn), query)

    async def async_session(self, _idle: float = 0.0, /) -> AsyncSession:
        """Return an asynchronous session inside the test's transaction."""
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession(bind=await _async_connection(self.conn), **_INSIDE)  # type: ignore[arg-type]  # a Literal in a dict is a str


def _outside(conn: Any) -> Any:
    """Return the connection that a session was given, while the session has no savepoint open on it.

    In one that the kit opened, the session's next rollback would take back what has run.
    """
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, scoped_session

    if isinstance(conn, scoped_session):
        conn = conn()
    if isinstance(conn, Session) and not conn.in_transaction() and isinstance(conn.bind, Connection):
        return conn.bind
    return conn


def _outside_async(conn: Any) -> Any:
    """Return the same for an AsyncSession."""
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    if isinstance(conn, AsyncSession) and not conn.in_transaction() and isinstance(conn.bind, AsyncConnection):
        return conn.bind
    return conn


def _connection(conn: Any) -> SAConnection:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    conn = _outside(conn)
    if isinstance(conn, Session):
        conn = conn.connection()
    if not isinstance(conn, Connection):
        raise ConfigurationError(_PSYCOPG.format(type(conn).__name__, "Session or Connection"))
    return conn


async def _async_connection(conn: Any) -> SAAsyncConnection:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    conn = _outside_async(conn)
    if isinstance(conn, AsyncSession):
        conn = await conn.connection()
    if not isinstance(conn, AsyncConnection):
        raise ConfigurationError(_PSYCOPG.format(type(conn).__name__, "AsyncSession or AsyncConnection"))
    return conn


_PSYCOPG = (
    "this job opens ctx.transaction(), which gives a SQLAlchemy session, and pgqueue_connection is a psycopg {}: "
    "let it give SQLAlchemy's {}; psycopg's connection is then its .connection.driver_connection"
)
