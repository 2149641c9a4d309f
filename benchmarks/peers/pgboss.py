"""pg-boss: worker and producer run in Node, for nothing but its library enqueues."""

from __future__ import annotations

import json
import subprocess
from typing import IO, Any

import psycopg

from benchmarks.environment import NODE, NODE_FOLDER
from benchmarks.peer import Payload, Peer, database

LEFT = "SELECT count(*) FROM pgboss.job WHERE name IN ('noop', 'ping') AND state < 'completed'"
SCRIPT = str(NODE_FOLDER / "pgboss.mjs")


class Measured(Peer):
    """`send` and `insert`."""

    _conn: psycopg.Connection[tuple[int]]
    _told: IO[str]
    _said: IO[str]

    async def prepare(self) -> None:
        """Start the producer, which makes the tables; it ends with us, when its input does."""
        producer = subprocess.Popen(  # noqa: ASYNC220, S603 - nothing else to do meanwhile
            [NODE, SCRIPT, "produce"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if producer.stdin is None or producer.stdout is None:
            raise RuntimeError("no pipes to the producer")
        self._told, self._said = producer.stdin, producer.stdout
        self._hear()
        self._conn = psycopg.connect(database(), autocommit=True)

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Insert lists of a thousand."""
        self._tell(many=jobs)

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Send single jobs."""
        self._tell(each=jobs)

    async def ping(self, number: int) -> None:
        """Send; the queue notifies."""
        self._tell(ping=number)

    async def remaining(self) -> int:
        """Count rows that are not completed: what is done stays for days."""
        return int((self._conn.execute(LEFT).fetchone() or [0])[0])

    def interpreter(self) -> str:
        """Node."""
        return str(NODE)

    def worker(self) -> list[str]:
        """Our script, with its library."""
        return [SCRIPT]

    def settings(self) -> dict[str, str | int | float]:
        """What stands in the script."""
        return {"batchSize": 5000, "localConcurrency": 2, "burstWhenBatchFull": "true", "notify": "true"}

    def _tell(self, **what: Any) -> None:
        self._told.write(json.dumps(what) + "\n")
        self._told.flush()
        self._hear()

    def _hear(self) -> None:
        if not self._said.readline():
            raise RuntimeError("the producer ended")
