"""The application of the tests of child processes: jobs that do all that a process can do to itself."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from typing import Any

import sqlalchemy as sa

from pgqueue import (
    App,
    Cancel,
    Continue,
    Dead,
    Death,
    Discard,
    Done,
    Job,
    JobContext,
    Queue,
    QueueSettings,
    Retry,
    RetryIn,
    Settings,
    Snooze,
)
from tests.worker.jobs import Handle, handle

ONCE = Retry(1, [])
FOREVER = 600  # seconds: longer than any test
EFFECT = sa.text("INSERT INTO effects (note) VALUES (:note)")


class InChild(Job, abstract=True, executor="process"):
    """What these jobs share."""


class Tell(InChild):
    """Says who runs it and what it knows."""

    text: str = ""

    def run(self, app: Handle, ctx: JobContext) -> None:
        ctx.log.info("job.told", text=self.text)
        print(f"printed {self.text}")  # noqa: T201 - a job may print; in one write, for its neighbours print, too
        left = 80 < ctx.seconds_left <= 90
        app.note(f"{self.text} pid {os.getpid()} attempt {ctx.attempt} org {ctx.context.organization_id} left {left}")


class Answer(InChild, retry=Retry(3, ["60s"])):
    """Returns or raises what it is told to."""

    answer: str

    async def run(self, app: Handle, ctx: JobContext) -> Any:
        match self.answer:
            case "raise":
                raise ValueError("x" * 5_000_000 + "\ud800\x00")
            case "unprintable":
                raise Unprintable(threading.Lock())
            case "exit":
                sys.exit(3)
            case "object":
                return object()
        return OUTCOMES[self.answer]()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not me")


OUTCOMES: dict[str, Any] = {
    "done": Done,
    "none": lambda: None,
    "retry": lambda: RetryIn("90s", "later"),
    "snooze": lambda: Snooze("5m", "busy"),
    "discard": lambda: Discard("nobody wants it"),
    "cancel": lambda: Cancel("no longer"),
    "dead": lambda: Dead("no such customer"),
    "continue": lambda: Continue(Tell(text="followed")),
}


class Effect(InChild, retry=Retry(3, ["1s"])):
    """One effect and its completion in one commit."""

    number: int
    how: str = "sync"

    async def run(self, app: Handle, ctx: JobContext) -> None:
        if self.how == "async":
            async with ctx.transaction() as session:
                await session.execute(EFFECT, {"note": f"effect {self.number}"})
        else:
            with ctx.transaction() as one:
                one.execute(EFFECT, {"note": f"effect {self.number}"})


class Endless(InChild, timeout="400ms", retry=Retry(2, ["60s"])):
    """Never ends, in one of many ways."""

    how: str

    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"endless {os.getpid()}")
        match self.how:
            case "python":
                while True:
                    pass
            case "sleep":
                ctypes.CDLL(None).sleep(FOREVER)
            case "gil":
                ctypes.PyDLL(None).sleep(FOREVER)  # keeps the interpreter
            case "regex":
                re.match(r"(a+)+$", "a" * 60 + "b")
            case "grandchild":
                subprocess.run(["sleep", "600"], check=False)  # noqa: S607 - of any system
            case _:
                threading.Event().wait()


class Swallow(InChild, timeout="400ms", retry=Retry(2, ["60s"])):
    async def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"endless {os.getpid()}")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue


class Polite(InChild, timeout="400ms", retry=Retry(2, ["60s"])):
    """Tidies up when it is told to end."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            app.note(f"tidied {ctx.cancelled}")


class Linger(InChild, timeout="1h", retry=ONCE):
    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"endless {os.getpid()}")
        threading.Event().wait()


def die(how: str) -> None:
    match how:
        case "exit":
            os._exit(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "template":
            os.kill(os.getppid(), signal.SIGKILL)
            threading.Event().wait()
        case "channel":
            os.closerange(3, 256)
            threading.Event().wait()


class Die(InChild):
    how: str

    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"dying {os.getpid()} {os.getppid()} attempt {ctx.attempt}")
        die(self.how)

    def on_dead(self, app: Handle, session: Any, death: Death) -> None:
        session.execute(EFFECT, {"note": f"buried {death.reason}"})


class Greedy(InChild, memory="64MB", retry=ONCE):
    """Takes far more memory than it may."""

    def run(self, app: Handle, ctx: JobContext) -> None:
        app.note(f"greedy {os.getpid()}")
        bytearray(512 * 1024**2)


class Modest(InChild, memory="64MB"):
    def run(self, app: Handle, ctx: JobContext) -> None:
        bytearray(32 * 1024**2)


class Busy(InChild, cpu="1s", timeout="1h", retry=ONCE):
    def run(self, app: Handle, ctx: JobContext) -> None:
        while True:
            pass


class Poison(Job):
    """An ordinary job that takes its process down."""

    how: str = "exit"

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, f"dying {os.getpid()} {os.getppid()} attempt {ctx.attempt}")
        die(self.how)

    def on_dead(self, app: Handle, session: Any, death: Death) -> None:
        session.execute(EFFECT, {"note": f"buried {death.reason}"})


class DiesAtItsGrave(InChild, retry=ONCE):
    """Ends its child, and then the worker that buries it."""

    def run(self, app: Handle, ctx: JobContext) -> None:
        os._exit(9)

    def on_dead(self, app: Handle, session: Any, death: Death) -> None:
        app.note(f"dying {os.getpid()}")
        os._exit(9)


class Neighbour(Job, retry=ONCE):
    """An ordinary job that is there when a process dies; harmless when it runs again."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        if ctx.fence == 1:
            await asyncio.Event().wait()


class Quick(Job):
    async def run(self, app: Handle, ctx: JobContext) -> None:
        """Do nothing."""


class Block(Job, timeout="300ms", retry=ONCE):
    """Blocks the event loop, with or without the interpreter."""

    gil: bool = False

    async def run(self, app: Handle, ctx: JobContext) -> None:
        if self.gil:
            ctypes.PyDLL(None).sleep(FOREVER)
        threading.Event().wait()


class Rest(Job, retry=ONCE):
    """Waits for nothing, and hinders nobody."""

    async def run(self, app: Handle, ctx: JobContext) -> None:
        await asyncio.to_thread(app.note, "resting")
        await asyncio.Event().wait()


JOBS: list[type[Job]] = [
    Tell,
    Answer,
    Effect,
    Endless,
    Swallow,
    Polite,
    Linger,
    Die,
    Greedy,
    Modest,
    Busy,
    Poison,
    DiesAtItsGrave,
    Neighbour,
    Quick,
    Block,
    Rest,
]
SETTINGS = Settings(
    lease="2s",
    heartbeat="400ms",
    poll="200ms",
    drain="5s",
    concurrency=4,
    queues={"default": QueueSettings(timeout="90s")},
    child_jobs=int(os.environ.get("TEST_CHILD_JOBS", "1000")),
)
queue = Queue(SETTINGS)
app = App(queue=queue, jobs=JOBS, handle=handle)


def moody() -> Handle:
    """A handle that only the worker itself can open."""
    if os.environ.get("TEST_WORKER") != str(os.getpid()):
        raise RuntimeError("not today")
    return handle()


broken = App(queue=queue, jobs=JOBS, handle=moody)
PATH = f"{__name__}:app"
