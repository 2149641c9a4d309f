"""`pgqueue bench`: it measures, says so, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Context, bench
from pgqueue.bench import measures
from pgqueue.bench.kinds import Noop, some_jobs
from pgqueue.bench.place import own_schema
from pgqueue.bench.report import as_table
from pgqueue.errors import ConfigurationError, PgqueueError
from pgqueue.queue import Queue

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

pytestmark = pytest.mark.own_database


def schemas(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgqueue%' ORDER BY 1").fetchall()


@pytest.mark.long
def test_it_measures_and_leaves_the_users_queue_alone(
    database_url: str, conn: Connection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "_ROUNDS", 1)  # each starts four worker processes
    mine = Queue(wake="off").enqueue(conn, next(some_jobs(Noop, 1)), context=Context("o", "u"))
    assert bench.run(database_url, jobs=300, json=True) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["drain_jobs_per_second"] > 0
    assert min(figures[share] for share in ("unique_share", "limit_share", "fair_share")) > 0
    assert figures["claim_complete_wal_bytes_per_job"] > 0
    assert figures["claim_buffers_held_snapshot"] < figures["claim_buffers"] * 2
    assert conn.execute("SELECT id, state FROM pgqueue.all_jobs").fetchall() == [(mine, "enqueued")]
    assert schemas(conn) == [("pgqueue",)]
    assert "drain, one process" in as_table(figures)


def test_a_benchmark_that_was_killed_is_cleared_away_by_the_next(database_url: str, conn: Connection) -> None:
    conn.execute("CREATE SCHEMA pgqueue_bench")
    conn.execute("COMMENT ON SCHEMA pgqueue_bench IS 'made by pgqueue bench, may be dropped'")
    with own_schema(database_url, "pgqueue_bench"):
        pass
    assert schemas(conn) == [("pgqueue",)]


def test_a_schema_of_that_name_that_is_not_ours_is_left_alone(database_url: str, conn: Connection) -> None:
    conn.execute("CREATE SCHEMA pgqueue_bench")
    with pytest.raises(PgqueueError, match="not made by pgqueue bench"):
        bench.run(database_url, jobs=300)
    assert schemas(conn) == [("pgqueue",), ("pgqueue_bench",)]


def test_two_at_once_are_refused(database_url: str) -> None:
    with (
        own_schema(database_url, "pgqueue_bench"),
        pytest.raises(PgqueueError, match="another pgqueue bench"),
        own_schema(database_url, "pgqueue_bench"),
    ):
        pass


@pytest.mark.parametrize("jobs", [0, 99, 1_000_001])
def test_a_number_of_jobs_that_makes_no_sense_is_refused(jobs: int) -> None:
    with pytest.raises(ConfigurationError, match="--jobs"):
        bench.run("postgresql://nowhere/nothing", jobs=jobs)


def test_ctrl_c_drops_the_schema(database_url: str, conn: Connection) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pgqueue", "bench", "--jobs", "100000", "--json"],
        env=os.environ | {"PGQUEUE_DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not conn.execute("SELECT to_regclass('pgqueue_bench.stamp') IS NOT NULL").fetchall()[0][0]:
        assert process.poll() is None, process.stderr and process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the worker under test, too
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert schemas(conn) == [("pgqueue",)]
