"""Does the schema in the database fit this version of the package? Asked by every command that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from pgqueue.db import run
from pgqueue.errors import SchemaMismatch
from pgqueue.migrations import VERSION
from pgqueue.queries.upkeep import Upkeep

if TYPE_CHECKING:
    from pgqueue.db import SyncTransaction

_MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, IndexError)


def check(conn: SyncTransaction, schema: str) -> None:
    """Raise SchemaMismatch unless the schema is there and fits."""
    judge(read(conn, schema), schema)


def read(conn: SyncTransaction, schema: str) -> tuple[int, int] | None:
    """Return the schema's version and the least package that it serves; None: there is no schema."""
    try:
        return run(conn, Upkeep(schema).stamp())
    except _MISSING:
        return None


def judge(found: tuple[int, int] | None, schema: str) -> None:
    """Raise SchemaMismatch for a schema that is missing, too old, or has left this package behind."""
    if found is None:
        raise SchemaMismatch(f"the schema {schema!r} has no tables of the queue; run `pgqueue migrate`")
    version, least = found
    if version < VERSION:
        raise SchemaMismatch(
            f"the schema {schema!r} is older (version {version}) than this package (version {VERSION}); "
            "run `pgqueue migrate`"
        )
    if least > VERSION:
        raise SchemaMismatch(
            f"the schema {schema!r} is newer (version {version}) and needs a package of at least version {least}, "
            f"this is {VERSION}; upgrade pgqueue-jobs here"
        )
