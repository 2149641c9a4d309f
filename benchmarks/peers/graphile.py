"""graphile-worker: its worker runs in Node, the producer here calls its documented functions in SQL."""

from __future__ import annotations

import json
import subprocess

import psycopg

from benchmarks.environment import NODE, NODE_FOLDER
from benchmarks.peer import Payload, Peer, database

ADD = "SELECT graphile_worker.add_job(%s, %s::json)"
ADD_MANY = """
SELECT count(*) FROM graphile_worker.add_jobs(
    ARRAY(SELECT json_populate_recordset(NULL::graphile_worker.job_spec, %s::json)))
"""
SCRIPT = str(NODE_FOLDER / "graphile.mjs")


class Measured(Peer):
    """`add_job` and `add_jobs`."""

    _conn: psycopg.Connection[tuple[int]]

    async def prepare(self) -> None:
        """Migrate."""
        subprocess.run([NODE, SCRIPT, "migrate"], check=True)  # noqa: ASYNC221, S603 - nothing else to do meanwhile
        self._conn = psycopg.connect(database(), autocommit=True)

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Add lists of a thousand, in one transaction."""
        with self._conn.transaction():
            for start in range(0, len(jobs), 1_000):
                part = [{"identifier": "noop", "payload": job} for job in jobs[start : start + 1_000]]
                self._conn.execute(ADD_MANY, [json.dumps(part)])

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Add single jobs."""
        for job in jobs:
            with self._conn.transaction():
                self._conn.execute(ADD, ["noop", json.dumps(job)])

    async def ping(self, number: int) -> None:
        """Add; it notifies."""
        self._conn.execute(ADD, ["ping", json.dumps({"number": number})])

    async def remaining(self) -> int:
        """Count rows: what is done is deleted."""
        return int((self._conn.execute("SELECT count(*) FROM graphile_worker.jobs").fetchone() or [0])[0])

    def interpreter(self) -> str:
        """Node."""
        return str(NODE)

    def worker(self) -> list[str]:
        """Our script, with its library."""
        return [SCRIPT]

    def settings(self) -> dict[str, str | int | float]:
        """What stands in the script."""
        return {"concurrentJobs": 24, "localQueue.size": 500, "completeJobBatchDelay": 0, "maxPoolSize": 25}
