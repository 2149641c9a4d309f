"""The plugin in the project of somebody else, with pytest in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgqueue.errors import ConfigurationError
from pgqueue.testing import DatabaseClock

pytestmark = pytest.mark.timeout(120)  # each starts a pytest of its own, some with processes of theirs
EXAMPLE = Path(__file__).parents[2] / "examples" / "tested_application"


def run_pytest(folder: Path, server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PGQUEUE_TEST_DATABASE_URL": server, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_example_passes_alone_and_in_processes_beside_each_other(
    project: Path, server: str, processes: str
) -> None:
    done = run_pytest(project, server, "-n", processes)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


def test_who_overrides_nothing_is_told_what_to_do(tmp_path: Path, server: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text("def test_it(queue_tester): pass\n")
    done = run_pytest(tmp_path, server)
    assert done.returncode == 1
    assert "override the fixture pgqueue_app" in done.stdout


def test_a_run_that_uses_nothing_imports_next_to_nothing(tmp_path: Path, server: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'pgqueue.pytest_plugin' in sys.modules\n"
        "    assert not {'sqlalchemy', 'psycopg', 'pydantic', 'pgqueue.testing'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path, server)
    assert done.returncode == 0, done.stdout


def test_the_kit_needs_no_pytest() -> None:
    code = "import sys, pgqueue.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_only_a_database_made_for_a_test_has_a_clock_that_moves(server: str, database_url: str) -> None:
    clock = DatabaseClock(database_url)
    clock.at(datetime(2031, 1, 1, tzinfo=UTC))
    clock.advance("2d")
    assert clock.now().isoformat().startswith("2031-01-03")
    with pytest.raises(ConfigurationError, match="was not made for one test; use the fixture pgqueue_database"):
        DatabaseClock(server).advance("1d")
