"""The wheel alone, in an environment of its own: it migrates and runs a job without the checkout."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
APPLICATION = """
from pgqueue import App, Job, Queue

class Greet(Job):
    name: str
    async def run(self, app, ctx):
        import pgqueue
        print(self.name, pgqueue.__file__)

queue = Queue()
app = App(queue=queue, jobs=[Greet])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": ""})
    (built,) = out.glob("pgqueue_jobs-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel; its dependencies are borrowed from ours, so that nothing is fetched."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # The checkout is installed in our environment by a .pth file; a path that is added is not searched for those.
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    return home / "bin" / "python"


def run(python: Path, url: str, folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PGQUEUE_DATABASE_URL": url}
    done = subprocess.run(
        [python, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_carries_pgqueue_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pgqueue", "pgqueue_jobs"}
    assert {"pgqueue/py.typed", "pgqueue/sql/lifecycle.sql", "pgqueue/migrations/versions/0001_queue.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_wheel_brings_the_pytest_plugin(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert "[pytest11]\npgqueue = pgqueue.pytest_plugin" in archive.read(entry_points).decode()


def test_the_wheel_migrates_and_runs_a_job(python: Path, empty_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "greeting.py").write_text(APPLICATION)
    assert "pgqueue_0001" in run(python, empty_database_url, tmp_path, "-m", "pgqueue", "migrate")
    run(python, empty_database_url, tmp_path, "-m", "pgqueue", "migrate", "--check")
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute("SELECT pgqueue.enqueue('Greet', '{\"name\": \"Ada\"}', 'org-1', 'user-1')")
    work = ("-m", "pgqueue", "work", "--app", "greeting:app", "--until-empty")
    name, where = run(python, empty_database_url, tmp_path, *work).split()
    assert name == "Ada"
    assert Path(where).is_relative_to(python.parent.parent), "the job ran with the checkout instead of the wheel"
    assert states(empty_database_url) == [("Greet", "completed")]


def states(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute("SELECT kind, state FROM pgqueue.all_jobs").fetchall()
