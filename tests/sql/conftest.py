"""One database for all tests of the SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.sql.client import Connection, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    """Somebody else, in a transaction of their own."""
    with psycopg.connect(database_url) as connection:
        yield connection


@pytest.fixture
def relay(conn: Connection) -> Relay:
    return Relay(conn)
