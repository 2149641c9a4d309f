"""Worker processes that serve a queue whose jobs are enqueued in another database."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.carry.conftest import CONTEXT, SOURCE
from tests.sql.client import Connection, column, scalar
from tests.worker.harness import eventually
from tests.worker.jobs import Note, queue
from tests.worker.processes import ROOT, Process

if TYPE_CHECKING:
    from pathlib import Path

FAST = {"PGQUEUE_LEASE": "2s", "PGQUEUE_HEARTBEAT": "0.5s", "PGQUEUE_POLL": "0.5s"}


@pytest.fixture
def effects(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE effects (n bigint GENERATED ALWAYS AS IDENTITY, note text NOT NULL)")
    return conn


@pytest.mark.long
def test_jobs_of_another_database_run_here_once_though_workers_are_killed(
    tmp_path: Path, database_url: str, source_url: str, source: Connection, effects: Connection
) -> None:
    sources = FAST | {"PGQUEUE_SOURCES": f"{SOURCE}={source_url}"}
    ids: list[int] = []
    for _ in range(3):
        ids.extend(queue.enqueue_many(source, [Note(text=str(n)) for n in range(200)], context=CONTEXT))
        with Process(tmp_path, database_url, **sources) as worker:
            eventually(lambda: scalar(effects, "SELECT count(*) FROM effects") >= len(ids) - 150)
            worker.popen.kill()
    with Process(tmp_path, database_url, **sources):
        eventually(lambda: scalar(effects, "SELECT count(*) FROM pgqueue.finished_jobs") == len(ids))
        eventually(lambda: not column(effects, "SELECT id FROM pgqueue.carried"))
    assert column(effects, "SELECT id FROM pgqueue.finished_jobs ORDER BY id") == sorted(ids)
    assert column(source, "SELECT id FROM pgqueue.outbox") == []


@pytest.mark.long
def test_until_empty_ends_when_the_sources_are_empty_too(
    tmp_path: Path, database_url: str, source_url: str, source: Connection, effects: Connection
) -> None:
    ids = queue.enqueue_many(source, [Note(text=str(n)) for n in range(2_500)], context=CONTEXT)
    with Process(tmp_path, database_url, "--until-empty", PGQUEUE_SOURCES=f"{SOURCE}={source_url}") as worker:
        assert worker.ends() == 0
    assert scalar(effects, "SELECT count(*) FROM effects") == len(ids)
    assert column(source, "SELECT id FROM pgqueue.outbox") == []


def test_a_source_that_is_away_does_not_stop_the_queue(tmp_path: Path, database_url: str, effects: Connection) -> None:
    job = queue.enqueue(effects, Note(), context=CONTEXT)
    nobody = "postgresql://nobody@127.0.0.1:1/gone"
    with Process(tmp_path, database_url, "--until-empty", **FAST, PGQUEUE_SOURCES=f"gone={nobody}") as worker:
        assert worker.ends() == 0
    assert column(effects, "SELECT id FROM pgqueue.finished_jobs") == [job]
    assert [line["loop"] for line in worker.events("loop.failed")][:1] == ["carry gone"]


def test_a_worker_refuses_to_serve_the_source_itself(tmp_path: Path, source_url: str) -> None:
    with Process(tmp_path, source_url) as worker:
        assert worker.ends() == 3
    assert "is the source 'shop' of another queue" in worker.text


def pgqueue(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pgqueue", "--database-url", url, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_source_is_added_and_listed_on_the_command_line(database_url: str, server: str, template: str) -> None:
    from tests.conftest import new_database

    with new_database(server, template) as url:
        assert "sources add" in pgqueue(database_url, "sources").stdout
        added = pgqueue(database_url, "sources", "add", "crm", url, "--json")
        assert json.loads(added.stdout) == {"source": "crm", "number": 1}, added.stderr
        assert [row["name"] for row in json.loads(pgqueue(database_url, "sources", "--json").stdout)] == ["crm"]
        with psycopg.connect(url) as source:
            assert queue.enqueue(source, Note(), context=CONTEXT) >> 44 == 1
        other = pgqueue(database_url, "sources", "add", "shop", url)
        assert other.returncode == 3
        assert "is a source already" in other.stderr
