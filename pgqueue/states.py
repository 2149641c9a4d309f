"""The state check: what a job is about is locked, looked at, and left alone if somebody else has done the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from pgqueue.db import Query
from pgqueue.errors import ConfigurationError
from pgqueue.outcome import Discard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.db import Rows

_SEVERAL = (set, frozenset, tuple, list)


def state_check(table: str | type, key: Mapping[str, Any], expected: Mapping[str, Any]) -> Query[Discard | None]:
    """Lock the row of ``key`` and compare its columns with what is expected: a value, or a collection of some."""
    name = str(getattr(table, "__table__", table))
    if not name or not key or not expected:
        raise ConfigurationError(
            "check_state needs a table, the key of a row and a state, as in "
            'queue.check_state(session, "posts", {"id": self.post_id}, status="scheduled")'
        )
    query = sql.SQL("SELECT {columns} FROM {table} WHERE {key} FOR UPDATE").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, expected)),
        table=sql.Identifier(*name.split(".")),
        key=sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(k), sql.Placeholder(k)) for k in key),
    )
    row = f"{name} {', '.join(f'{column}={value}' for column, value in key.items())}"
    return Query(query, lambda rows: _found(row, expected, rows), key)


def _found(row: str, expected: Mapping[str, Any], rows: Rows) -> Discard | None:
    if not rows:
        return Discard(f"{row} is gone")
    if len(rows) > 1:
        raise ConfigurationError(f"{row} are {len(rows)} rows; check_state takes the whole key of one")
    for (column, wanted), found in zip(expected.items(), rows[0], strict=True):
        allowed = wanted if isinstance(wanted, _SEVERAL) else (wanted,)
        if found not in allowed:
            return Discard(f"{row}: {column} is {found!r}, expected {' or '.join(sorted(map(repr, allowed)))}")
    return None
