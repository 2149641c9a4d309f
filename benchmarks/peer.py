"""What every queue has to offer to be measured. Runs in that queue's environment: nothing but Python is imported."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from uuid import uuid4

Payload = dict[str, str | int]

DATABASE, REDIS, FOLDER, VARIANT = ("BENCHMARK_" + name for name in ("DATABASE", "REDIS", "FOLDER", "VARIANT"))
"""The variables that tell a queue's processes where to work, and which of its settings is measured."""


def payloads(count: int) -> list[Payload]:
    """Five values, about 200 bytes as JSON."""
    note = "x" * 60
    return [
        {"post_id": str(uuid4()), "account_id": str(uuid4()), "network": f"network{n % 100}", "size": n, "note": note}
        for n in range(count)
    ]


def database() -> str:
    """The address of the database that was made for this queue."""
    return os.environ[DATABASE]


def redis() -> str:
    """The path of the Redis server's socket."""
    return os.environ[REDIS]


def variant() -> str:
    """Which of this queue's settings is measured; empty for the only one."""
    return os.environ.get(VARIANT, "")


class Peer(ABC):
    """One queue."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make the tables; connect the producer."""

    @abstractmethod
    async def enqueue(self, jobs: list[Payload]) -> None:
        """Enqueue all with the fastest documented call."""

    @abstractmethod
    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """Enqueue one after the other, each durable before the next (on PostgreSQL: a transaction each)."""

    @abstractmethod
    async def ping(self, number: int) -> None:
        """Enqueue one job that tells when it started."""

    @abstractmethod
    async def remaining(self) -> int:
        """How many jobs have not ended yet; what only waits to be acknowledged has not."""

    @abstractmethod
    def worker(self) -> list[str]:
        """The command line of a worker, after the interpreter."""

    @abstractmethod
    def settings(self) -> dict[str, str | int | float]:
        """What was chosen, as it is printed."""

    def interpreter(self) -> str:
        """What runs the worker."""
        return sys.executable

    def runners(self) -> int:
        """How many processes of one worker run jobs."""
        return 1

    async def make_ready(self) -> None:
        """Do before a drain what this queue does beforehand in any case."""
        return
