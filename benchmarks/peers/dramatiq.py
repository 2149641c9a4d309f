"""Dramatiq over Redis: one process with threads, no middleware that a no-op does not need."""

from __future__ import annotations

import sys
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks import peer
from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer

THREADS, PREFETCH = 8, 500

broker = RedisBroker(url=f"unix://{peer.redis()}")
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="noop")
def noop(**_: str | int) -> None:
    """Count."""
    done()


@dramatiq.actor(actor_name="ping")
def ping(number: int) -> None:
    """Tell."""
    started(number)


class Measured(Peer):
    """`send`."""

    def __init__(self) -> None:
        self._redis: Any = broker.client

    async def prepare(self) -> None:
        """Nothing to prepare."""
        return

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Send one after the other: there is no call for many."""
        await self.enqueue_each(jobs)

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Send one after the other."""
        for job in jobs:
            noop.send(**job)

    async def ping(self, number: int) -> None:
        """Send."""
        ping.send(number)

    async def remaining(self) -> int:
        """Count messages, those not acknowledged too: each lies in the hash until then."""
        return int(self._redis.hlen("dramatiq:default.msgs"))

    def interpreter(self) -> str:
        """What sets the variable that its worker reads when it is imported."""
        return "env"

    def worker(self) -> list[str]:
        """`dramatiq`."""
        prefetch = f"dramatiq_queue_prefetch={PREFETCH}"
        options = ["--processes", "1", "--threads", str(THREADS)]
        return [prefetch, sys.executable, "-m", "dramatiq", "benchmarks.peers.dramatiq", *options]

    def settings(self) -> dict[str, str | int | float]:
        """What is given on the command line, and in the environment."""
        chosen = {"--threads": THREADS, "dramatiq_queue_prefetch": PREFETCH}
        return {**chosen, "middleware": "the default", "bulk": "none: sent one by one"}
