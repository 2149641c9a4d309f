"""A schema of the benchmark's own, made at the start and dropped at the end: nobody's queue is touched."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from psycopg import sql

from pgqueue import migrate
from pgqueue.db import connect
from pgqueue.errors import PgqueueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_OURS = "made by pgqueue bench, may be dropped"
_COMMENT = "SELECT obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace WHERE nspname = %s"
# The lock goes with the session, so a benchmark that was killed stands in nobody's way.
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('pgqueue bench ' || %s, 0))"


@contextlib.contextmanager
def own_schema(url: str, schema: str) -> Iterator[psycopg.Connection[Any]]:
    """Make the schema, give a connection to measure with, drop the schema whatever happens.

    Raises:
        PgqueueError: another benchmark runs in this database, or a schema of this name belongs to somebody.

    """
    with contextlib.closing(connect(url, name="pgqueue bench")) as conn:
        if conn.execute(_LOCK, [schema]).fetchone() != (True,):
            raise PgqueueError(f"another pgqueue bench uses the schema {schema}; wait until it has ended")
        _clear(conn, schema)
        try:
            migrate.upgrade(url, schema)
            conn.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(schema), sql.Literal(_OURS)))
            yield conn
        finally:
            # A connection of its own: the first may be in the middle of anything.
            with contextlib.closing(connect(url, name="pgqueue bench end")) as last:
                last.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _clear(conn: psycopg.Connection[Any], schema: str) -> None:
    """Drop what an earlier benchmark left behind, and nothing else."""
    rows = conn.execute(_COMMENT, [schema]).fetchall()
    if rows and rows[0][0] != _OURS:
        raise PgqueueError(f"the schema {schema} was not made by pgqueue bench; rename it, or drop it yourself")
    if rows:
        conn.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
