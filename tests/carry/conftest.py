"""Two databases: the application's, whose outbox is carried, and the queue's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue import Context
from pgqueue.db import connect, run
from pgqueue.queries.carry import Carry
from tests.conftest import new_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sql.client import Connection

SOURCE = "shop"
CONTEXT = Context("org", "user")


@pytest.fixture
def source_url(server: str, template: str, database_url: str) -> Iterator[str]:
    """The application's database, a source of the queue's."""
    with new_database(server, template) as url:
        queries = Carry()
        with connect(database_url, name="test") as queue, connect(url, name="test") as source:
            number = run(queue, queries.add_source(SOURCE, by="ann"))
            run(source, queries.become_source(SOURCE, number))
        yield url


@pytest.fixture
def source(source_url: str) -> Iterator[Connection]:
    with psycopg.connect(source_url, autocommit=True) as connection:
        yield connection
