"""Both branches through the root's alembic.ini, as the README shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]


def alembic(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env=os.environ | {"PGQUEUE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_up_check_down_up(empty_database_url: str) -> None:
    alembic(empty_database_url, "upgrade", "heads")
    assert "No new upgrade operations" in alembic(empty_database_url, "check")
    alembic(empty_database_url, "downgrade", "base")
    with psycopg.connect(empty_database_url) as conn:
        left = conn.execute("SELECT FROM pg_tables WHERE schemaname IN ('smm', 'pgqueue')").fetchall()
        assert left == []
    alembic(empty_database_url, "upgrade", "heads")
    assert {line.split()[0] for line in alembic(empty_database_url, "current").splitlines()} == {
        "domain_0001",
        "pgqueue_0002",
    }
