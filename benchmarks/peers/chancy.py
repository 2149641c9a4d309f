"""Chancy: the asynchronous executor, polling at once when a job ends."""

from __future__ import annotations

import asyncio
import logging

import chancy
import psycopg
from chancy import Chancy, Queue, Worker

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database

CONCURRENCY = 500
FLUSH = 0.1


@chancy.job()
async def noop(**_: str | int) -> None:
    """Count."""
    done()


@chancy.job()
async def ping(*, number: int) -> None:
    """Tell."""
    started(number)


def _application() -> Chancy:
    return Chancy(database(), log=logging.getLogger("chancy"))


class Measured(Peer):
    """`push` and `push_many`."""

    def __init__(self) -> None:
        self._application = _application()

    async def prepare(self) -> None:
        """Migrate, declare the queue."""
        await self._application.migrate()
        queue = Queue(
            "default", concurrency=CONCURRENCY, executor=Chancy.Executor.Async, polling_interval=1, eager_polling=True
        )
        await self._application.declare(queue, upsert=True)

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Push batches of a thousand."""
        made = [noop.job.with_kwargs(**job) for job in jobs]
        async for _ in self._application.push_many(made, batch_size=1_000):
            pass

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Push single jobs: a transaction each."""
        for job in jobs:
            await self._application.push(noop.job.with_kwargs(**job))

    async def ping(self, number: int) -> None:
        """Push; it notifies."""
        await self._application.push(ping.job.with_kwargs(number=number))

    async def remaining(self) -> int:
        """Count what has not succeeded."""
        with psycopg.connect(database()) as conn:
            row = conn.execute("SELECT count(*) FROM chancy_jobs WHERE state <> 'succeeded'").fetchone()
        return int((row or [0])[0])

    def worker(self) -> list[str]:
        """A worker in code, as its guide shows it."""
        return ["-m", "benchmarks.peers.chancy"]

    def settings(self) -> dict[str, str | int | float]:
        """What the queue is declared with."""
        return {
            "executor": "async",
            "concurrency": CONCURRENCY,
            "polling_interval": "1 s",
            "eager_polling": "on",
            "send_outgoing_interval": f"{FLUSH} s",
            "rows": "kept for its pruner",
        }


async def work() -> None:
    """Serve until a signal."""
    async with _application() as application, Worker(application) as worker:
        worker.send_outgoing_interval = FLUSH
        await worker.wait_for_shutdown()


if __name__ == "__main__":
    asyncio.run(work())
