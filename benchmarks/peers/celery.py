"""Celery over Redis: prefork, acknowledged late (a killed worker loses nothing, like the others), no results."""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery

from benchmarks import peer
from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer

CHILDREN, PREFETCH = 2, 100

app = Celery("benchmark", broker=f"redis+socket://{peer.redis()}")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=PREFETCH,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(**_: str | int) -> None:
    """Count."""
    done()


@app.task(name="ping")
def ping(number: int) -> None:
    """Tell."""
    started(number)


class Measured(Peer):
    """`apply_async`, on one connection."""

    def __init__(self) -> None:
        self._producer: Any = None
        self._redis: Any = redis.Redis(unix_socket_path=peer.redis())

    async def prepare(self) -> None:
        """Connect."""
        self._producer = app.amqp.Producer(app.connection_for_write())

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Send one after the other: there is no call for many."""
        await self.enqueue_each(jobs)

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Send one after the other."""
        for job in jobs:
            noop.apply_async(kwargs=job, producer=self._producer)

    async def ping(self, number: int) -> None:
        """Send."""
        ping.apply_async(kwargs={"number": number}, producer=self._producer)

    async def remaining(self) -> int:
        """Count messages, those not acknowledged too."""
        return int(self._redis.llen("celery") + self._redis.hlen("unacked"))

    def worker(self) -> list[str]:
        """`celery worker`, quiet."""
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        return ["-m", "celery", "-A", "benchmarks.peers.celery", "worker", "--concurrency", str(CHILDREN), *quiet]

    def settings(self) -> dict[str, str | int | float]:
        """What was chosen."""
        options = "--without-gossip --without-mingle --without-heartbeat"
        return {"prefork": CHILDREN, "prefetch": PREFETCH, "acks_late": "on", "results": "ignored", "options": options}

    def runners(self) -> int:
        """The children of the pool."""
        return CHILDREN
