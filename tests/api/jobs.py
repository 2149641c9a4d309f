"""What the tests of enqueueing enqueue, and how they look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue import Context, Job, JobContext, QueueSettings, Retry, Settings

if TYPE_CHECKING:
    import psycopg

CONTEXT = Context("acme", "ann")
SETTINGS = Settings(environment={}, queues={"default": QueueSettings(), "mail": QueueSettings()})


class Letter(Job, queue="mail", retry=Retry(4, ["1s"]), max_age="2h", version=3):
    to: str
    copies: int = 1

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing: these tests only enqueue."""


class Base(Job, abstract=True):
    """Nothing of its own."""


class Astray(Job, queue="nowhere"):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing: it cannot even be enqueued."""


Row = tuple[Any, ...]


def enqueued(conn: psycopg.Connection[Row]) -> list[int]:
    """The committed jobs, seen by somebody else."""
    return [row[0] for row in conn.execute("SELECT id FROM pgqueue.outbox ORDER BY id")]
