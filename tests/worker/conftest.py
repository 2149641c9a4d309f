"""One database for all tests of the worker, and a real worker on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.worker.harness import Hall

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.worker.hosts import Host


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
