"""The application of these tests: each job does one thing that the kit has to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from pgqueue import (
    App,
    AsyncQueue,
    Context,
    Continue,
    Dead,
    Death,
    Job,
    JobContext,
    JobFailed,
    Outcome,
    Queue,
    QueueSettings,
    Retry,
    Settings,
    Snooze,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CONTEXT = Context("acme", "ann")
SETTINGS = Settings(
    environment={}, queues={"default": QueueSettings(), "mail": QueueSettings(priority="high", timeout="200ms")}
)
queue = Queue(SETTINGS, wake="off")
async_queue = AsyncQueue(SETTINGS, wake="off")


class Letter(Job, queue="mail", retry=Retry(2, ["60s"])):
    to: str
    copies: int = 1

    def run(self, app: list[str], ctx: JobContext) -> Outcome | None:
        app.append(f"{self.to} {ctx.attempt}/{ctx.max_attempts}")
        return None


class Write(Job, retry=Retry(2, ["60s"])):
    """Has its effect and its completion in one commit."""

    note: str

    def run(self, app: list[str], ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": f"{self.note} {ctx.fence}"})


class AsyncWrite(Job, retry=Retry(2, ["60s"])):
    note: str

    async def run(self, app: list[str], ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": f"{self.note} {ctx.fence}"})


class Relay(Job):
    """Another one follows, until none is left."""

    left: int

    async def run(self, app: list[str], ctx: JobContext) -> Outcome | None:
        app.append(f"relay {self.left}")
        return Continue(Relay(left=self.left - 1)) if self.left else None


class Endless(Job):
    async def run(self, app: list[str], ctx: JobContext) -> Outcome:
        return Snooze("1s")


class Fragile(Job, retry=Retry(2, ["60s"])):
    """Dies, and says so in the table."""

    how: str = "raise"

    async def run(self, app: list[str], ctx: JobContext) -> Outcome:
        if self.how == "dead":
            return Dead("no use")
        raise LookupError("it broke")

    def on_dead(self, app: list[str], session: Session, death: Death) -> None:
        session.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": f"dead of {death.reason}"})


class Slow(Job, queue="mail", retry=Retry(1)):
    async def run(self, app: list[str], ctx: JobContext) -> None:
        import asyncio

        await asyncio.Event().wait()


class Heard(JobFailed):
    async def run(self, app: list[str], ctx: JobContext) -> None:
        app.append(f"heard of {self.job_kind}: {self.reason}")


class Unlisted(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        """Nobody names it."""


JOBS: list[type[Job]] = [Letter, Write, AsyncWrite, Relay, Endless, Fragile, Slow]


def application(of: Queue | AsyncQueue, handle: list[str]) -> App:
    return App(queue=of, jobs=JOBS, handle=handle, on_job_failed=[Heard])
