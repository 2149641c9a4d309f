"""Schedulers without a worker around them, on a database whose clock stands where the test puts it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from pgqueue import App, Context, Job, JobContext, Queue, Schedule, Settings
from pgqueue.telemetry import Telemetry
from pgqueue.worker.link import Link
from pgqueue.worker.scheduler import Scheduler
from tests.sql.client import column

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pgqueue.db import Query
    from tests.sql.client import Connection

CONTEXT = Context("acme", "ann")
SETTINGS = Settings(environment={}, poll="10s")
QUEUE = Queue(SETTINGS, wake="off")


class Purge(Job):
    days: int = 30

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


class Sweep(Job, max_age="2d"):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


class CountingLink(Link):
    """Counts what goes to the server."""

    statements = 0

    async def run(self, query: Query[Any]) -> Any:
        self.statements += 1
        return await super().run(query)


def app_of(*schedules: Schedule, queue: Queue = QUEUE) -> App:
    return App(queue=queue, jobs=[Purge, Sweep], schedules=schedules)


def entry(name: str = "purge", **more: Any) -> Schedule:
    given: dict[str, Any] = {"job": Purge(), "context": CONTEXT} | more
    return Schedule(name, **given)


@asynccontextmanager
async def scheduler(url: str, *schedules: Schedule, link: Link | None = None) -> AsyncIterator[Scheduler]:
    """One process's scheduler; the code has these entries."""
    link = link or Link(url, SETTINGS, "schedules")
    spare = Link(url, SETTINGS, "spare")
    try:
        yield Scheduler(app_of(*schedules), link, spare, Telemetry([]), on_fired=lambda: None)
    finally:
        await link.close()
        await spare.close()


async def settle(one: Scheduler) -> None:
    """Tick until nothing is due at this moment of the frozen clock."""
    one._sync_at = 0.0
    for _ in range(4):
        await one.tick()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def put_clock(conn: Connection, text: str, *, speed: float = 0) -> None:
    """The database's time is this moment, and from then on it runs at a multiple of ours."""
    conn.execute(
        cast(
            "Any",
            f"""CREATE OR REPLACE FUNCTION pgqueue.clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
                SELECT timestamptz '{at(text).isoformat()}'
                     + (pg_catalog.clock_timestamp() - timestamptz '{datetime.now(UTC).isoformat()}') * {speed} $$""",
        )
    )


def ticks(conn: Connection, name: str = "purge") -> list[str]:
    """The ticks in the ledger, in minutes."""
    found = column(conn, "SELECT tick FROM pgqueue.schedule_runs WHERE schedule = %s ORDER BY tick", name)
    return [f"{tick.astimezone(UTC):%d %H:%M}" for tick in found]


def jobs(conn: Connection) -> int:
    return len(column(conn, "SELECT id FROM pgqueue.all_jobs"))
