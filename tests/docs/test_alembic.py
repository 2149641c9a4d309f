"""The Alembic commands of the texts, run where they say."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.docs.pages import ROOT, commands

if TYPE_CHECKING:
    from pathlib import Path

OTHER = ROOT / "examples" / "other_application"


def alembic(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env=os.environ | {"PGQUEUE_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://", 1)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT table_schema || '.' || table_name FROM information_schema.tables").fetchall()
    return {name for (name,) in rows if not name.startswith(("pg_catalog.", "information_schema."))}


def test_the_texts_show_these_commands() -> None:
    shown = [command for command in commands("alembic") if not command.startswith("alembic revision")]
    assert shown == ["alembic check", "alembic downgrade base", "alembic upgrade heads"]


@pytest.mark.usefixtures("pgvector")
def test_from_the_root_alembic_goes_up_checks_and_goes_down(empty_database_url: str) -> None:
    alembic(ROOT, empty_database_url, "upgrade", "heads")
    assert "pgqueue.jobs" in schemas(empty_database_url)
    assert "No new upgrade operations detected" in alembic(ROOT, empty_database_url, "check")
    alembic(ROOT, empty_database_url, "downgrade", "base")
    assert {name for name in schemas(empty_database_url) if "alembic" not in name} == set()
    alembic(ROOT, empty_database_url, "upgrade", "heads")


def test_another_application_includes_the_branch(empty_database_url: str) -> None:
    alembic(OTHER, empty_database_url, "upgrade", "heads")
    assert {"pgqueue.outbox", "public.notes"} <= schemas(empty_database_url)
    assert "No new upgrade operations detected" in alembic(OTHER, empty_database_url, "check")
    alembic(OTHER, empty_database_url, "downgrade", "base")
    assert {name for name in schemas(empty_database_url) if "alembic" not in name} == set()
