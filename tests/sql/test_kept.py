"""The database that most tests have after each other is as good as new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kept import EMPTIED, KEPT
from tests.sql.client import column

if TYPE_CHECKING:
    from tests.sql.client import Connection


def test_every_table_is_emptied_or_kept_on_purpose(conn: Connection) -> None:
    tables = """SELECT relname FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace
        AND relkind IN ('r', 'p') AND NOT relispartition"""
    assert sorted(column(conn, tables)) == sorted((*KEPT, *EMPTIED))
