"""The application of the worker processes that tests start; what its jobs do is seen in the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Any

import psycopg

from pgqueue import App, Death, Job, JobContext, Queue, Retry, Settings


class Handle:
    """Writes effects, and waits for the test's permission to go on."""

    def __init__(self) -> None:
        self.url = os.environ["PGQUEUE_DATABASE_URL"]

    def note(self, text: str) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="effects") as conn:
            conn.execute("INSERT INTO effects (note) VALUES (%s)", [text])

    def may_leave(self) -> bool:
        with psycopg.connect(self.url, autocommit=True, application_name="effects") as conn:
            row = conn.execute("SELECT EXISTS (SELECT FROM effects WHERE note = 'leave')").fetchone()
        return bool(row and row[0])


def handle() -> Handle:
    """Made when a worker starts; may take as long as the test wants."""
    made = Handle()
    if os.environ.get("TEST_SLOW_START"):
        made.note("starting")
        while not made.may_leave():
            threading.Event().wait(0.02)
    return made


class Note(Job, retain="1h"):
    text: str = ""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"{self.text} by {os.getpid()} attempt {ctx.attempt} claim {ctx.fence}")


class Hold(Job, timeout="1h", retry=Retry(2, ["60s"])):
    """Runs until the test lets it go."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"held by {os.getpid()} attempt {ctx.attempt} claim {ctx.fence}")
        never = asyncio.Event()
        while not await asyncio.to_thread(app.may_leave):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await never.wait()
        await asyncio.to_thread(app.note, "left")


class HoldInThread(Job, timeout="1h"):
    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"held by {os.getpid()} attempt {ctx.attempt} claim {ctx.fence}")
        while not app.may_leave():
            threading.Event().wait(0.02)


class Stubborn(Job, timeout="1h"):
    """Ignores every cancellation."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"held by {os.getpid()} attempt {ctx.attempt} claim {ctx.fence}")
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


class Overdue(Job, timeout="200ms", retry=Retry(1, [])):
    """A thread that outlives its timeout and will not end."""

    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"held by {os.getpid()} attempt {ctx.attempt} claim {ctx.fence}")
        threading.Event().wait()


class Crash(Job):
    """Takes its worker down."""

    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"crashing {os.getpid()}")
        os._exit(9)

    def on_dead(self, app: Handle, session: Any, death: Death) -> None:
        app.note(f"buried {death.reason}")


queue = Queue(Settings(lease="1500ms", heartbeat="300ms", poll="200ms", drain="20s", concurrency=4))
app = App(queue=queue, jobs=[Note, Hold, HoldInThread, Stubborn, Overdue, Crash], handle=handle)
