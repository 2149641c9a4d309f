"""PgQueuer over asyncpg, its first driver, with the batch of 500 that its own benchmark uses."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database

if TYPE_CHECKING:
    from pgqueuer.models import Job

BATCH, CONCURRENT = 500, 1_000


async def work() -> None:
    """Serve until the process is ended."""
    application = PgQueuer(AsyncpgDriver(await asyncpg.connect(database())))

    @application.entrypoint("noop")
    async def noop(job: Job) -> None:
        done()

    @application.entrypoint("ping")
    async def ping(job: Job) -> None:
        started(int(job.payload or b"0"))

    await application.run(batch_size=BATCH, max_concurrent_tasks=CONCURRENT)


class Measured(Peer):
    """`Queries`."""

    _conn: Any
    _queries: Any

    async def prepare(self) -> None:
        """Install with the default durability: logged tables."""
        self._conn = await asyncpg.connect(database())
        self._queries = Queries(AsyncpgDriver(self._conn))
        await self._queries.install()

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Enqueue lists of a thousand, in one transaction."""
        async with self._conn.transaction():
            for start in range(0, len(jobs), 1_000):
                part = jobs[start : start + 1_000]
                payloads = [json.dumps(job).encode() for job in part]
                await self._queries.enqueue(["noop"] * len(part), payloads, [0] * len(part))

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Enqueue single jobs."""
        for job in jobs:
            async with self._conn.transaction():
                await self._queries.enqueue("noop", json.dumps(job).encode())

    async def ping(self, number: int) -> None:
        """Enqueue; a trigger notifies."""
        await self._queries.enqueue("ping", str(number).encode())

    async def remaining(self) -> int:
        """Count rows: what ended moves to the log."""
        return int(await self._conn.fetchval("SELECT count(*) FROM pgqueuer"))

    def worker(self) -> list[str]:
        """A worker in code: `pgq run` of this version fails with the newest typer."""
        return ["-m", "benchmarks.peers.pgqueuer"]

    def settings(self) -> dict[str, str | int | float]:
        """What the worker is started with."""
        chosen = {"batch_size": BATCH, "max_concurrent_tasks": CONCURRENT}
        return {"driver": "asyncpg", **chosen, "durability": "durable"}


if __name__ == "__main__":
    asyncio.run(work())
