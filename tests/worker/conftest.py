"""One database for all tests of a folder, made new between them; whoever leaves a connection on it fails the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.conftest import _connections_left
from tests.sql.conftest import make_new, shared_database_url  # noqa: F401 - a fixture is used by its name
from tests.worker.harness import Hall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.worker.hosts import Host


@pytest.fixture
def database_url(server: str, shared_database_url: str) -> Iterator[str]:  # noqa: F811 - the fixture by its name
    with psycopg.connect(shared_database_url) as connection:
        connection.execute("SET lock_timeout = '2s'")  # whoever left a transaction open is found here
        make_new(connection)
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        name = connection.info.dbname
    yield shared_database_url
    left = _connections_left(server, name)
    assert not left, f"connections left open by the test: {left}"


@pytest.fixture
def hall(database_url: str, conn: psycopg.Connection[tuple[Any, ...]]) -> Hall:
    conn.execute("CREATE TABLE effects (n bigint GENERATED ALWAYS AS IDENTITY, note text NOT NULL)")
    return Hall(database_url, conn)


@pytest.fixture
def children_app(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hall serves the application of child processes."""
    from tests.worker.children import PATH, SETTINGS, app, queue

    monkeypatch.setenv("PGQUEUE_DATABASE_URL", hall.url)
    hall.queue, hall.app = queue, app
    monkeypatch.setattr(app, "settings", SETTINGS)  # and whatever a test makes of it is undone
    monkeypatch.setattr(app, "path", PATH)


@pytest.fixture
def host(hall: Hall, tmp_path: Path) -> Host:
    from tests.worker.hosts import Host

    return Host(hall, tmp_path)
