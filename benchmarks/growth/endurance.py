"""Load that goes on for minutes: what one worker gets done each second, and what grows meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.growth.points import place_of
from pgqueue.bench.kinds import Noop, some_context, some_jobs
from pgqueue.bench.measures import Place, WorkerProcess
from pgqueue.db import connect

if TYPE_CHECKING:
    from pgqueue.embedded import EmbeddedServer

_BATCH = 500
_AHEAD = 20_000  # jobs that stand in line at most
_PROGRESS = """
SELECT coalesce(sum(pg_sequence_last_value(head)), 0)::bigint, coalesce(sum(pg_sequence_last_value(mark)), 0)::bigint
FROM pgqueue.marks
"""
_TABLES = """
SELECT coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(autovacuum_count), 0)::bigint,
       coalesce(sum(pg_table_size(relid)), 0)::bigint, coalesce(sum(pg_indexes_size(relid)), 0)::bigint
FROM pg_stat_user_tables WHERE schemaname = 'pgqueue'
"""


@dataclass(frozen=True)
class Second:
    """What was seen since the look before, and what there was."""

    at: float
    jobs_per_second: float
    dead_rows: int
    autovacuums: int
    table_bytes: int
    index_bytes: int
    wal_bytes_per_job: float
    worker_bytes: int


def endured(server: EmbeddedServer, seconds: float, *, snapshot: bool, rate: float | None, every: float) -> list[Any]:
    """Return a look each ``every`` seconds.

    ``snapshot``: somebody holds one all the time. ``rate``: jobs enqueued per second; None: as many as are done.
    """
    with place_of(server) as place, contextlib.ExitStack() as stack:
        if snapshot:
            holder = stack.enter_context(contextlib.closing(connect(place.url, name="benchmark snapshot")))
            holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT count(*) FROM pg_catalog.pg_class")
        worker = stack.enter_context(WorkerProcess(place, 0))
        over = threading.Event()
        feeder = threading.Thread(target=_feed, args=(place, over, rate), daemon=True)
        feeder.start()
        stack.callback(feeder.join, 30)
        stack.callback(over.set)
        return [asdict(second) for second in _looks(place, worker, seconds, every)]


def _looks(place: Place, worker: WorkerProcess, seconds: float, every: float) -> list[Second]:
    found: list[Second] = []
    began = last = time.monotonic()
    done, wal = _claimed(place), place.wal()
    while last < began + seconds:
        time.sleep(every)
        now, now_done, now_wal = time.monotonic(), _claimed(place), place.wal()
        dead, vacuums, tables, indexes = place.conn.execute(_TABLES).fetchone() or (0, 0, 0, 0)
        jobs = now_done - done
        found.append(
            Second(
                at=now - began,
                jobs_per_second=jobs / (now - last),
                dead_rows=dead,
                autovacuums=vacuums,
                table_bytes=tables,
                index_bytes=indexes,
                wal_bytes_per_job=(now_wal - wal) / max(jobs, 1),
                worker_bytes=_resident(worker.pid),
            )
        )
        last, done, wal = now, now_done, now_wal
    return found


def _feed(place: Place, over: threading.Event, rate: float | None) -> None:
    """Keep so many jobs in line that the worker never waits, or enqueue at a rate."""
    jobs, context = list(some_jobs(Noop, _BATCH)), some_context()
    with contextlib.closing(connect(place.url, name="benchmark feeder")) as conn:
        began, sent = time.monotonic(), 0
        while not over.is_set():
            head, mark = conn.execute(_PROGRESS).fetchone() or (0, 0)
            due = head - mark < _AHEAD if rate is None else sent < (time.monotonic() - began) * rate
            if not due:
                over.wait(0.01)
                continue
            with conn.transaction():
                place.queue.enqueue_many(conn, jobs, context=context)
            sent += _BATCH


def _claimed(place: Place) -> int:
    """Return how many positions were claimed: no count of rows, which would cost more the longer a snapshot is held."""
    row = place.conn.execute(_PROGRESS).fetchone()
    return int(row[1]) if row else 0


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
