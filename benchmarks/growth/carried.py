"""Jobs that are enqueued in databases of other servers and run here: each server a process tree of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import servers
from benchmarks.growth.points import JOBS, place_of
from pgqueue.app import App
from pgqueue.bench.kinds import Noop
from pgqueue.bench.measures import Place, bulk_enqueue
from pgqueue.queue import Queue
from pgqueue.settings import Settings

if TYPE_CHECKING:
    from pgqueue.embedded import EmbeddedServer

_LONGEST = 120.0
app = App(queue=Queue(Settings(database_url=os.environ.get("PGQUEUE_DATABASE_URL"))), jobs=[Noop])
"""What `pgqueue work` serves."""


def carried(server: EmbeddedServer, sources: int) -> float:
    """Return jobs per second, from the first claim to the last, of one worker that carries from so many servers.

    0 sources: the jobs are in the outbox of the queue's own database.
    """
    with place_of(server) as queue, contextlib.ExitStack() as stack:
        others = [stack.enter_context(place_of(stack.enter_context(servers.postgresql()))) for _ in range(sources)]
        named = {f"source{number}": other for number, other in enumerate(others)}
        environment = os.environ | {
            "PGQUEUE_DATABASE_URL": queue.url,
            "PGQUEUE_LOG_LEVEL": "warning",
            "PGQUEUE_SOURCES": " ".join(f"{name}={other.url}" for name, other in named.items()),
        }
        for name, other in named.items():
            add = [sys.executable, "-m", "pgqueue", "sources", "add", name, other.url]
            subprocess.run(add, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command line
        jobs = JOBS // max(sources, 1) * max(sources, 1)
        for place in others or [queue]:
            bulk_enqueue(place, Noop, jobs // max(sources, 1))
        command = [sys.executable, "-m", "pgqueue", "work", "--app", "benchmarks.growth.carried:app"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as worker:  # noqa: S603 - the same
            try:
                return jobs / _seconds(queue, jobs)
            finally:
                worker.terminate()


def _seconds(queue: Place, jobs: int) -> float:
    """Wait until so many positions are claimed and nothing is left; return how long it took from the first."""
    progress = "SELECT coalesce(max(pg_sequence_last_value(mark)), 0) FROM pgqueue.marks"
    end, began = time.monotonic() + _LONGEST, 0.0
    while time.monotonic() < end:
        (mark,) = queue.conn.execute(progress).fetchone() or (0,)
        began = began or (time.monotonic() if mark > 1 else 0.0)
        if mark > jobs and not queue.conn.execute("SELECT 1 FROM pgqueue.jobs LIMIT 1").fetchone():
            return time.monotonic() - began
        time.sleep(0.002)
    raise TimeoutError(f"the worker was not done within {_LONGEST:.0f} s")
