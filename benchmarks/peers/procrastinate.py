"""Procrastinate: asynchronous tasks, jobs deleted when they are done."""

from __future__ import annotations

import psycopg
from procrastinate import App, PsycopgConnector

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database

CONCURRENCY = 100

app = App(connector=PsycopgConnector(conninfo=database(), min_size=1, max_size=10))


@app.task(name="noop")
async def noop(**_: str | int) -> None:
    """Count."""
    done()


@app.task(name="ping")
async def ping(number: int) -> None:
    """Tell."""
    started(number)


class Measured(Peer):
    """`defer_async` and `batch_defer_async`."""

    async def prepare(self) -> None:
        """Apply the schema."""
        await app.open_async()
        await app.schema_manager.apply_schema_async()

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Defer batches of a thousand."""
        for start in range(0, len(jobs), 1_000):
            await noop.batch_defer_async(*jobs[start : start + 1_000])

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Defer single jobs: a transaction each."""
        for job in jobs:
            await noop.defer_async(**job)

    async def ping(self, number: int) -> None:
        """Defer; a trigger notifies."""
        await ping.defer_async(number=number)

    async def remaining(self) -> int:
        """Count rows: what succeeded is deleted."""
        with psycopg.connect(database()) as conn:
            return int((conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() or [0])[0])

    def worker(self) -> list[str]:
        """`procrastinate worker`."""
        options = ["--concurrency", str(CONCURRENCY), "--delete-jobs", "successful"]
        command = ["-m", "procrastinate", "--log-level", "warning", "--app", "benchmarks.peers.procrastinate.app"]
        return [*command, "worker", *options]

    def settings(self) -> dict[str, str | int | float]:
        """What is given on the command line."""
        return {"connector": "psycopg, pool of 10", "--concurrency": CONCURRENCY, "--delete-jobs": "successful"}
