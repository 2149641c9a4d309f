"""The database of a command: one connection, one query at a time, errors in one line."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from pgqueue.db import connect, is_connection_lost, run, unreachable
from pgqueue.doctor import stamp
from pgqueue.errors import DatabaseUnavailable, PgqueueError
from pgqueue.queries.control import Control
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queries.limits import Limits
from pgqueue.queries.supervision import CONTROL_PAYLOAD, Supervision
from pgqueue.wake import ready_channel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.cli.state import Options
    from pgqueue.db import Query

T = TypeVar("T")

SILENT = timedelta(seconds=45)
"""A worker that has not been heard of for longer is shown as silent: it should have beaten four times."""

# SET LOCAL, so that nothing is left behind on a pooler's connection.
_PATIENCE = "SET LOCAL statement_timeout = '30s'"


class Database:
    """A connection, and the blocks of the schema that was asked for."""

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        """Take an open connection in autocommit."""
        self.conn = conn
        self.schema = schema
        self.control = Control(schema)
        self.supervision = Supervision(schema)
        self.limits = Limits(schema)

    def ask(self, query: Query[T]) -> T:
        """Send one query in a transaction of its own."""
        try:
            with self.conn.transaction():
                self.conn.execute(_PATIENCE)
                return run(self.conn, query)
        except psycopg.Error as error:
            raise _explained(error) from error

    def tell_workers(self, ready: str = CONTROL_PAYLOAD) -> None:
        """Have workers look at their orders now, or at a queue that is ``ready``; else they do with a heartbeat."""
        self.ask(self.control.wake(ready_channel(self.schema), ready))

    def highest_id(self) -> int:
        """Return the highest job id given so far."""
        return self.ask(Lifecycle(self.schema).last_job_id())


@contextmanager
def open_database(options: Options, *, check: bool) -> Iterator[Database]:
    """Connect for one command."""
    conn = connect(options.url(), name="pgqueue cli")
    conn.prepare_threshold = None  # a transaction pooler may stand in between
    with closing(conn):
        if check:
            stamp.check(conn, options.schema)
        yield Database(conn, options.schema)


def _explained(error: psycopg.Error) -> PgqueueError:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return PgqueueError("the database took longer than 30 s to answer; narrow the question with a filter")
    if is_connection_lost(error):
        return DatabaseUnavailable(unreachable(error))
    return PgqueueError(f"the database refused: {str(error).strip()}")
