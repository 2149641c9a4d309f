"""awa: a core in Rust, handlers in Python."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Any

import awa
import psycopg

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database

WORKERS, CLAIM = 1_000, 512


@dataclass
class Noop:
    """The arguments of the job that does nothing."""

    post_id: str
    account_id: str
    network: str
    size: int
    note: str


@dataclass
class Ping:
    """The arguments of the job that tells when it started."""

    number: int


def _address() -> str:
    return database().replace("@/", "@localhost/")  # its parser asks for a host; the socket's folder still wins


def _noop(values: dict[str, Any]) -> Noop:
    return Noop(**values)


class Measured(Peer):
    """`insert` and `enqueue_many_copy`."""

    def __init__(self) -> None:
        self._client: Any = awa.AsyncClient(_address())

    async def prepare(self) -> None:
        """Migrate, with the storage that new installations have."""
        await self._client.migrate()
        await self._client.install_queue_storage()

    async def enqueue(self, jobs: list[Payload]) -> None:
        """COPY into the queue's storage."""
        await self._client.enqueue_many_copy([_noop(job) for job in jobs])

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Insert single jobs: a transaction each."""
        for job in jobs:
            await self._client.insert(_noop(job))

    async def ping(self, number: int) -> None:
        """Insert; it notifies."""
        await self._client.insert(Ping(number))

    async def remaining(self) -> int:
        """Count what has not ended."""
        with psycopg.connect(database()) as conn:
            row = conn.execute(
                "SELECT count(*) FROM awa.jobs WHERE state::text NOT IN ('completed', 'failed', 'cancelled')"
            ).fetchone()
        return int((row or [0])[0])

    def worker(self) -> list[str]:
        """A worker in code, as its guide shows it."""
        return ["-m", "benchmarks.peers.awa"]

    def settings(self) -> dict[str, str | int | float]:
        """What the worker is started with."""
        return {"max_workers": WORKERS, "claim_batch_size": CLAIM, "bulk": "enqueue_many_copy"}


async def work() -> None:
    """Serve until a signal."""
    client: Any = awa.AsyncClient(_address())

    @client.task(Noop)
    async def noop(job: Any) -> None:
        done()

    @client.task(Ping)
    async def ping(job: Any) -> None:
        started(job.args.number)

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await client.start([{"name": "default", "max_workers": WORKERS, "claim_batch_size": CLAIM}])
    await stopped.wait()
    await client.shutdown()


if __name__ == "__main__":
    asyncio.run(work())
