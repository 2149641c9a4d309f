"""Taskiq over a Redis stream, which acknowledges: a killed worker loses nothing, like the others."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
from taskiq_redis import RedisStreamBroker

from benchmarks import peer
from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer

ASYNC_TASKS, PREFETCH, READ, AT_ONCE = 100, 100, 100, 100
STREAM = "taskiq"

broker = RedisStreamBroker(f"unix://{peer.redis()}", queue_name=STREAM, consumer_id="0", xread_count=READ)


@broker.task(task_name="noop")
async def noop(**_: str | int) -> None:
    """Count."""
    done()


@broker.task(task_name="ping")
async def ping(number: int) -> None:
    """Tell."""
    started(number)


class Measured(Peer):
    """`kiq`."""

    def __init__(self) -> None:
        self._redis: Any = redis.Redis(unix_socket_path=peer.redis())

    async def prepare(self) -> None:
        """Make the stream."""
        await broker.startup()

    async def enqueue(self, jobs: list[Payload]) -> None:
        """Send a hundred at once: there is no call for many."""
        for start in range(0, len(jobs), AT_ONCE):
            await asyncio.gather(*(noop.kiq(**job) for job in jobs[start : start + AT_ONCE]))

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Send one after the other."""
        for job in jobs:
            await noop.kiq(**job)

    async def ping(self, number: int) -> None:
        """Send."""
        await ping.kiq(number)

    async def remaining(self) -> int:
        """Count what was not read or not acknowledged."""
        (group,) = self._redis.xinfo_groups(STREAM)
        return int(group["pending"]) + int(group["lag"] or 0)

    def worker(self) -> list[str]:
        """`taskiq worker`."""
        options = ["--workers", "1", "--max-async-tasks", str(ASYNC_TASKS), "--max-prefetch", str(PREFETCH)]
        return ["-m", "taskiq", "worker", "benchmarks.peers.taskiq:broker", *options, "--log-level", "WARNING"]

    def settings(self) -> dict[str, str | int | float]:
        """What is given on the command line, and to the broker."""
        return {
            "broker": "RedisStreamBroker",
            "--max-async-tasks": ASYNC_TASKS,
            "--max-prefetch": PREFETCH,
            "xread_count": READ,
            "bulk": f"{AT_ONCE} at once",
        }
