"""The application of the supervisors that tests start: two queues, and jobs that the test lets go."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import psycopg

from pgqueue import App, Job, JobContext, Queue, Retry, Settings
from pgqueue.errors import ConfigurationError

_KEPT: list[bytearray] = []


class Handle:
    """Writes effects, and waits for the test's permission to go on."""

    def __init__(self) -> None:
        self.url = os.environ["PGQUEUE_DATABASE_URL"]

    def note(self, text: str) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="effects") as conn:
            conn.execute("INSERT INTO effects (note) VALUES (%s)", [text])

    def was_noted(self, text: str) -> bool:
        with psycopg.connect(self.url, autocommit=True, application_name="effects") as conn:
            row = conn.execute("SELECT EXISTS (SELECT FROM effects WHERE note = %s)", [text]).fetchone()
        return bool(row and row[0])


class Busy(Job, queue="a", timeout="1h", retain="1h", retry=Retry(2, ["60s"])):
    """Runs until the test lets its queue go."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"busy {ctx.queue} attempt {ctx.attempt} claim {ctx.fence} by {os.getpid()}")
        never = asyncio.Event()
        while not await asyncio.to_thread(app.was_noted, f"leave {ctx.queue}"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await never.wait()


class BusyToo(Busy, queue="b", timeout="1h", retain="1h", retry=Retry(2, ["60s"])):
    """The same in the other queue."""


class Quick(Job, queue="a", retain="1h"):
    """Tells when it begins and when it ends."""

    megabytes: int = 0
    seconds: float = 0.0

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"+ attempt {ctx.attempt} claim {ctx.fence} by {os.getpid()}")
        if self.seconds:
            await asyncio.sleep(self.seconds)
        # piece by piece: one large copy holds the interpreter, and the heartbeat with it, until the lease is over
        _KEPT.extend(bytearray(os.urandom(1) * (1 << 20)) for _ in range(self.megabytes))
        await asyncio.to_thread(app.note, "-")


if Path(os.environ.get("TEST_BROKEN", "/nonexistent")).exists():
    raise ConfigurationError("this version of the application does not start")
queue = Queue(
    Settings(lease="3s", heartbeat="300ms", poll="200ms", drain="20s", concurrency=4, queues={"a": {}, "b": {}})
)
app = App(queue=queue, jobs=[Busy, BusyToo, Quick], handle=Handle)
