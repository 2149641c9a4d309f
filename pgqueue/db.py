"""The only I/O: a query is a value, `run` and `run_async` send it.

The caller's connection may be SQLAlchemy's or psycopg's; nothing here commits, rolls back or opens a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from pgqueue.errors import ConfigurationError, DatabaseUnavailable, TransactionUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.sql import Composed
    from sqlalchemy import Connection as SAConnection
    from sqlalchemy.ext.asyncio import AsyncConnection as SAAsyncConnection
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    SyncTransaction = psycopg.Connection[Any] | psycopg.Cursor[Any] | Session | SAConnection
    AsyncTransaction = psycopg.AsyncConnection[Any] | psycopg.AsyncCursor[Any] | AsyncSession | SAAsyncConnection

T = TypeVar("T")
Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """One statement, its parameters and how its rows (tuples) are read."""

    sql: LiteralString | Composed
    read: Callable[[Rows], T]
    params: Mapping[str, Any] = field(default_factory=dict)


def run(conn: SyncTransaction, query: Query[T]) -> T:
    """Send the query in the transaction that ``conn`` is in."""
    with driver_connection(conn).cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(query.sql, query.params)
        return query.read(cursor.fetchall() if cursor.description else [])


async def run_async(conn: AsyncTransaction, query: Query[T]) -> T:
    """Send the query in the transaction that ``conn`` is in."""
    driver = await async_driver_connection(conn)
    async with driver.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(query.sql, query.params)
        return query.read(await cursor.fetchall() if cursor.description else [])


def driver_connection(conn: SyncTransaction) -> psycopg.Connection[Any]:
    """Find psycopg's connection behind what the caller has, and check that it can still take a statement."""
    found: object = conn
    if isinstance(conn, psycopg.Cursor):
        found = conn.connection
    elif not isinstance(conn, psycopg.Connection):
        found = _behind_sqlalchemy(conn)
    if not isinstance(found, psycopg.Connection):
        raise TransactionUnusable(_foreign(conn, found, "Session, Connection, psycopg.Connection or Cursor"))
    _check_usable(found)
    return found


async def async_driver_connection(conn: AsyncTransaction) -> psycopg.AsyncConnection[Any]:
    """Find psycopg's connection behind what the caller has, and check that it can still take a statement."""
    found: object = conn
    if isinstance(conn, psycopg.AsyncCursor):
        found = conn.connection
    elif not isinstance(conn, psycopg.AsyncConnection):
        found = await _behind_sqlalchemy_async(conn)
    if not isinstance(found, psycopg.AsyncConnection):
        expected = "AsyncSession, AsyncConnection, psycopg.AsyncConnection or AsyncCursor"
        raise TransactionUnusable(_foreign(conn, found, expected))
    _check_usable(found)
    return found


def _behind_sqlalchemy(conn: object) -> object:
    from sqlalchemy import Connection
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.orm import Session, scoped_session

    try:
        if isinstance(conn, scoped_session):
            conn = conn()
        if isinstance(conn, Session):
            conn.flush()  # what the session only remembers must reach the database before the job does
            conn = conn.connection()
        if isinstance(conn, Connection):
            conn.get_nested_transaction() or conn.get_transaction() or conn.begin()
            return conn.connection.driver_connection
    except SQLAlchemyError as error:
        raise TransactionUnusable(
            f"the transaction cannot take a job: {error}; roll it back and begin again"
        ) from error
    return conn


async def _behind_sqlalchemy_async(conn: object) -> object:
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

    try:
        if isinstance(conn, async_scoped_session):
            conn = conn()
        if isinstance(conn, AsyncSession):
            await conn.flush()
            conn = await conn.connection()
        if isinstance(conn, AsyncConnection):
            if not conn.in_transaction():
                await conn.begin()
            return (await conn.get_raw_connection()).driver_connection
    except SQLAlchemyError as error:
        raise TransactionUnusable(
            f"the transaction cannot take a job: {error}; roll it back and begin again"
        ) from error
    return conn


def _check_usable(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if conn.closed:
        raise TransactionUnusable(
            "the connection is closed; enqueue before the transaction ends, on an open connection"
        )
    if (
        conn.pgconn.pipeline_status != PipelineStatus.OFF
    ):  # an error of ours would surface in statements of the caller's
        raise TransactionUnusable("the connection is in pipeline mode; leave the `with conn.pipeline()` block first")
    if conn.info.transaction_status == TransactionStatus.INERROR:
        raise TransactionUnusable(
            "the transaction has failed and can only be rolled back; roll back, then enqueue again"
        )


def _foreign(conn: object, found: object, expected: str) -> str:
    if found is conn:
        return f"cannot enqueue into a {type(conn).__qualname__}; give a {expected}"
    return (
        f"the connection behind this {type(conn).__qualname__} is {type(found).__module__}.{type(found).__qualname__}; "
        f"pgqueue needs the psycopg driver: use a URL that begins with postgresql+psycopg://, and a {expected}"
    )


def driver_url(url: str) -> str:
    """Return the URL as psycopg takes it (both URL styles are accepted everywhere)."""
    return re.sub(r"^postgres(?:ql)?(?:\+psycopg(?:_async)?)?://", "postgresql://", _checked(url))


def sqlalchemy_url(url: str) -> str:
    """Return the URL as SQLAlchemy takes it."""
    return re.sub(r"^postgres(?:ql)?(?:\+psycopg(?:_async)?)?://", "postgresql+psycopg://", _checked(url))


def _checked(url: str) -> str:
    if not re.match(r"^postgres(ql)?(\+psycopg(_async)?)?://", url):
        scheme = url.split("://", 1)[0] if "://" in url else "no scheme"
        raise ConfigurationError(
            f"the database URL has {scheme!r}; write postgresql://user@host/database, or embedded:"
        )
    return url


# A cut link is noticed within seconds, also by a connection that only listens.
_KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "connect_timeout": 10}


def connect(url: str, *, name: str) -> psycopg.Connection[Any]:
    """Open a connection of the engine's own: autocommit, keepalives, READ COMMITTED."""
    try:
        return psycopg.connect(driver_url(url), autocommit=True, application_name=name, **_KEEPALIVES)  # type: ignore[arg-type]  # psycopg types its keywords as one union
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(unreachable(error)) from error


async def connect_async(url: str, *, name: str, prepare: bool = True) -> psycopg.AsyncConnection[Any]:
    """Open a connection of the engine's own; ``prepare=False`` for transaction poolers."""
    try:
        conn = await psycopg.AsyncConnection.connect(
            driver_url(url),
            autocommit=True,
            application_name=name,
            prepare_threshold=2 if prepare else None,
            **_KEEPALIVES,  # type: ignore[arg-type]  # psycopg types its keywords as one union
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(unreachable(error)) from error
    return conn


def unreachable(error: psycopg.Error) -> str:
    """Say that the database cannot be reached, without the URL (it may hold a password)."""
    return f"cannot reach the database: {str(error).strip()}; check PGQUEUE_DATABASE_URL and that the server runs"


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether a new connection is needed: the link broke, or the server became a standby (25006)."""
    if isinstance(error, (psycopg.errors.ReadOnlySqlTransaction, TimeoutError)) or getattr(error, "sqlstate", None) in {
        "25P03",  # idle in a transaction for too long: the server has closed the session
        "25P04",  # the same for the transaction as a whole
    }:
        return True
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and (
        getattr(error, "sqlstate", None) is None or str(error.sqlstate)[:2] in {"08", "57", "53"}
    )
