"""A worker in this process, and patience without sleeping: conditions are looked at until they hold."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pgqueue import App, Context, Job, JobFailed, Queue, Settings
from pgqueue.telemetry import Telemetry
from pgqueue.testing import work_async
from pgqueue.worker import limits
from pgqueue.worker.process import Worker
from tests.sql.client import advance_clock, column, expire_leases, scalar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import timedelta

    import psycopg

    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.telemetry import Samples


CONTEXT = Context("acme", "ann")
PATIENCE = 20.0


def eventually(condition: Callable[[], object], *, patience: float = PATIENCE) -> Any:
    """Look until it holds, from a thread that nothing else needs."""
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        pause.wait(0.01)
    return found


async def until(condition: Callable[[], object], *, patience: float = PATIENCE) -> Any:
    """Look until it holds, while the event loop goes on."""
    deadline, never = time.monotonic() + patience, asyncio.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        try:
            async with asyncio.timeout(0.01):
                await never.wait()
        except TimeoutError:
            continue
    return found


@dataclass
class Ledger:
    """What onlookers were told."""

    started_jobs: list[int] = field(default_factory=list)
    moments: list[tuple[int, str]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    rescues: list[int] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)
    dead: list[tuple[str, str, int]] = field(default_factory=list)

    def started(self, job: Claimed) -> None:
        self.started_jobs.append(job.id)

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        self.moments.append((job.id, settlement.moment))

    def lease_lost(self, job: Claimed) -> None:
        self.lost.append(job.id)

    def crashed(self, job: Claimed) -> None:
        self.crashes.append(job.id)

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        self.rescues.append(job_id)

    def missed(self, schedule: str, ticks: int) -> None:
        """Not looked at."""

    def sampled(self, samples: Samples | None) -> None:
        self.samples = samples


class Hall:
    """An application of the test's own on its database, with workers on demand."""

    def __init__(self, url: str, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.url = url
        self.conn = conn
        self.ledger = Ledger()
        self.app: App
        self.queue: Queue

    def serve(
        self,
        *jobs: type[Job],
        handle: object = None,
        listeners: Sequence[type[JobFailed]] = (),
        engine: Any = None,
        async_engine: Any = None,
        **settings: Any,
    ) -> Queue:
        """Define the application; returns its queue."""
        given: dict[str, Any] = {
            "lease": "6s",
            "heartbeat": "2s",
            "poll": "200ms",
            "drain": "5s",
            "concurrency": 4,
        } | settings
        self.queue = Queue(Settings(environment={}, **given), wake="transaction")
        self.app = App(
            queue=self.queue,
            jobs=jobs,
            handle=handle,
            on_job_failed=listeners,
            engine=engine,
            async_engine=async_engine,
        )
        return self.queue

    def enqueue(self, job: Job, **options: Any) -> int:
        return self.queue.enqueue(self.conn, job, **({"context": CONTEXT} | options))

    def worker(self, *, until_empty: bool = False) -> Worker:
        return Worker(self.app, self.url, limits(self.app, None), Telemetry([self.ledger]), until_empty=until_empty)

    async def work_off(self) -> int:
        """Run a worker until nothing is left that is due."""
        async with asyncio.timeout(PATIENCE):
            return await work_async(self.app, self.url, subscribers=[self.ledger])

    async def run_one(self, job: Job, **options: Any) -> int:
        job_id = self.enqueue(job, **options)
        await self.work_off()
        return job_id

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """A worker beside the test; it drains at the end."""
        worker = self.worker()
        task = asyncio.create_task(worker.run())
        started = asyncio.create_task(worker.started.wait())
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        try:
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(PATIENCE):
                await task

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def state(self, job_id: int) -> str | None:
        return scalar(self.conn, "SELECT state FROM pgqueue.all_jobs WHERE id = %s", job_id)  # type: ignore[no-any-return]  # text

    def states(self) -> list[str]:
        return column(self.conn, "SELECT state FROM pgqueue.all_jobs ORDER BY id")

    def job(self, job_id: int, field_name: str) -> Any:
        return scalar(self.conn, f"SELECT {field_name} FROM pgqueue.all_jobs WHERE id = %s", job_id)

    def dead(self, job_id: int, field_name: str) -> Any:
        return scalar(self.conn, f"SELECT {field_name} FROM pgqueue.dead_jobs WHERE id = %s", job_id)

    def claims(self, job_id: int) -> int:
        return scalar(self.conn, "SELECT claims FROM pgqueue.jobs WHERE id = %s", job_id) or 0

    def wait_of(self, job_id: int) -> float:
        """Seconds until it is due, by the database's clock."""
        return float(
            scalar(
                self.conn, "SELECT extract(epoch FROM run_at - pgqueue.clock()) FROM pgqueue.jobs WHERE id = %s", job_id
            )
        )

    def advance(self, by: timedelta) -> None:
        advance_clock(self.conn, by)

    def expire(self) -> None:
        expire_leases(self.conn)

    def effects(self) -> list[str]:
        return column(self.conn, "SELECT note FROM effects ORDER BY n")

    def backends(self, name: str) -> list[int]:
        return column(
            self.conn,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s",
            name,
        )


class Box:
    """A handle that is a context manager: jobs get what it holds, and nobody calls it before."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __enter__(self) -> Any:
        return self.call

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""
