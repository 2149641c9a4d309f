"""A real PostgreSQL for every test: one server per run, one migrated template, databases that are copies of it.

PGQUEUE_TEST_DATABASE_URL   use this server (its user must be allowed to create databases)
PGQUEUE_TEST_BIN_DIR        start the embedded server with another PostgreSQL's programs
PGQUEUE_TEST_CONTAINER=1    start a container instead, where a Docker engine runs
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pgqueue.embedded import temporary_server
from pgqueue.migrate import upgrade
from pgqueue.testing import temporary_database
from tests.kept import KeptDatabase, connections_left, keep_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONTAINER_IMAGE = "pgvector/pgvector:pg18"

# Nobody pulls the plug on a test's database; what the tests prove about crashes are crashes of processes.
TEST_SETTINGS = {
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "autovacuum_naptime": "1h",  # a vacuum in mid-test would change what the plan tests count
    "log_min_messages": "fatal",
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the server's maintenance database."""
    if url := os.environ.get("PGQUEUE_TEST_DATABASE_URL"):
        yield url
    elif os.environ.get("PGQUEUE_TEST_CONTAINER") == "1":
        from testcontainers.postgres import PostgresContainer  # needs an engine at import

        with PostgresContainer(CONTAINER_IMAGE, driver=None) as container:
            yield container.get_connection_url()
    else:
        bin_dir = os.environ.get("PGQUEUE_TEST_BIN_DIR")
        with temporary_server(
            bin_dir=Path(bin_dir) if bin_dir else None, settings=TEST_SETTINGS, durable=False
        ) as embedded:
            yield embedded.url()


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a database with the queue's tables, to be copied."""
    with temporary_database(server) as url:
        upgrade(url)
        yield dbname(url)


@pytest.fixture(scope="session")
def kept_database(server: str, template: str) -> Iterator[KeptDatabase]:
    """What most tests have after each other."""
    with keep_database(server, template) as kept:
        yield kept


@pytest.fixture(scope="session")
def renewal() -> str:
    """What else makes the kept database new, besides the queue's own tables."""
    return """DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_depend
                   WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'public'::regnamespace) THEN
          DROP SCHEMA public CASCADE;
          CREATE SCHEMA public;
        END IF;
      END $$"""


@pytest.fixture
def database_url(request: pytest.FixtureRequest, server: str) -> Iterator[str]:
    """A database as if new, or really new where the mark says so; whoever leaves a connection on it fails the test."""
    if request.node.get_closest_marker("own_database"):
        opened = new_database(server, request.getfixturevalue("template"))
    else:
        opened = request.getfixturevalue("kept_database").renewed(request.getfixturevalue("renewal"))
    with opened as url:
        yield url


@pytest.fixture
def empty_database_url(server: str) -> Iterator[str]:
    """A database with nothing in it, for what is tested about migrations."""
    with new_database(server) as url:
        yield url


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sqlalchemy_address(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
async def aconn(database_url: str, anyio_backend: str) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def aengine(database_url: str, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(sqlalchemy_address(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def pgvector(server: str) -> None:
    """Skip what needs the extension `vector` where the server has none (Debian's PostgreSQL 15)."""
    with psycopg.connect(server, autocommit=True) as admin:
        if admin.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'").fetchone() is None:
            pytest.skip("this server has no pgvector")


def with_dbname(url: str, name: str) -> str:
    """The same server, another database."""
    parts = sa.make_url(url).set(drivername="postgresql", database=name)
    return parts.render_as_string(hide_password=False)


def dbname(url: str) -> str:
    """The name of the database at this address."""
    return sa.make_url(url).database or ""


def sqlalchemy_address(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg")


@contextlib.contextmanager
def new_database(server: str, template: str = "template0") -> Iterator[str]:
    """The address of one more database, without connections at the end."""
    with temporary_database(server, template) as url:
        yield url
        with psycopg.connect(server, autocommit=True) as admin:
            left = connections_left(admin, dbname(url))
        assert not left, f"connections left open by the test: {left}"
