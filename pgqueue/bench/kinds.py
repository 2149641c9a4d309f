"""The jobs that `pgqueue bench` runs: they do nothing, so that only the queue is measured."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from pgqueue.app import App
from pgqueue.context import Context
from pgqueue.job import Job
from pgqueue.limit import Limit
from pgqueue.queue import Queue
from pgqueue.setting_tables import QueueSettings
from pgqueue.settings import Settings
from pgqueue.unique import Unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.worker.context import JobContext


_KEYS = 100  # different values of what a limit counts by
URL_VARIABLE = "PGQUEUE_BENCH_URL"
"""Hands the address to the worker under test: `ps` does not show the environment to others."""


class Noop(Job, retain="0s", kind="bench.Noop"):
    """Five typed arguments of about 200 bytes, two of them UUIDs; nothing is kept."""

    post_id: UUID
    account_id: UUID
    network: str
    size: int
    note: str

    async def run(self, app: object, ctx: JobContext) -> None:
        """Do nothing."""


class Kept(Noop, retain="1h", kind="bench.Kept"):
    """The same, and its row is kept for an hour: the default."""


class Once(Noop, unique=Unique("post_id"), kind="bench.Once"):
    """The same, unique; no two are equal, so each of them is work."""


class Limited(Noop, limit=Limit("network", running=1_000), kind="bench.Limited"):
    """The same, with a limit that is far away: what counting costs."""


class Fair(Noop, queue="fair", kind="bench.Fair"):
    """The same, in a queue that organizations share."""


class Ping(Job, retain="0s", kind="bench.Ping"):
    """Says when it started, by the clock that all processes of one machine share."""

    number: int

    async def run(self, app: object, ctx: JobContext) -> None:  # noqa: ARG002 - every job has them
        """Write one line to the process that measures."""
        os.write(1, b'{"event": "ping", "number": %d, "at": %.9f}\n' % (self.number, time.monotonic()))


def settings_for(url: str, schema: str) -> Settings:
    """Return the defaults, whatever the environment says, on this database and schema."""
    queues = {"default": QueueSettings(), "fair": QueueSettings(order="fair")}
    return Settings(environment={}, database_url=url, schema_name=schema, queues=queues, log_level="warning")


def app_for(url: str, schema: str) -> App:
    """Return the application under test."""
    return App(queue=Queue(settings_for(url, schema)), jobs=[Noop, Kept, Once, Limited, Fair, Ping])


def some_context() -> Context:
    """Return a context as long as real ones are: UUIDs as text."""
    return Context(organization_id=str(uuid4()), user_id=str(uuid4()))


def some_jobs(kind: type[Noop], count: int) -> Iterator[Noop]:
    """Make jobs."""
    for number in range(count):
        network = f"network{number % _KEYS}"
        yield kind(post_id=uuid4(), account_id=uuid4(), network=network, size=number, note="x" * 60)
