"""What is measured, one function each. Every loop has a limit in seconds; rates are of what was done in it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.orm import Session

from pgqueue.bench.kinds import URL_VARIABLE, Fair, Limited, Noop, Once, Ping, settings_for, some_context, some_jobs
from pgqueue.db import connect, run, sqlalchemy_url
from pgqueue.errors import PgqueueError
from pgqueue.outcome import Settlement
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

_BATCH = 1_000
_SHORT_TERM = timedelta(milliseconds=5)  # the worker that follows must not wait for our turn to end
_LEASE = timedelta(seconds=60)
_SINGLE_SECONDS, _DRAIN_SECONDS, _PING_SECONDS = 2.0, 20.0, 6.0
_PINGS, _WARM_PINGS = 120, 10
_CLAIM = 100
_ROUNDS, _ORGANIZATIONS = 5, 100


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    conn: psycopg.Connection[Any]
    url: str
    schema: str

    @property
    def queue(self) -> Queue:
        """A queue that wakes nobody."""
        return Queue(settings_for(self.url, self.schema), wake="off")

    @property
    def lifecycle(self) -> Lifecycle:
        """The queries of the worker."""
        return Lifecycle(self.schema)

    def wal(self) -> int:
        """Return how much WAL the server has written so far (everybody's, so measure on a quiet server)."""
        row = self.conn.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        return int(row[0]) if row else 0


class WorkerProcess:
    """The worker under test, in a process of its own; what it tells comes line by line."""

    def __init__(self, place: Place, expected: int) -> None:
        """Start it."""
        command = [sys.executable, "-m", "pgqueue.bench.worker", place.schema, str(expected)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {URL_VARIABLE: place.url},
            text=True,
        )

    def hear(self) -> dict[str, Any]:
        """Return the next thing it tells."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise PgqueueError("the worker under test ended before it was done; its messages stand above")
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once: its time is over."""
        self._process.kill()

    def __enter__(self) -> Self:
        """Wait until it can claim."""
        self.hear()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it drain, then make sure that it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def single_enqueue(place: Place) -> dict[str, float]:
    """One job in one transaction, as a request of an application does it."""
    jobs, context = list(some_jobs(Noop, 1_000)), some_context()
    latencies: list[float] = []
    end = time.monotonic() + _SINGLE_SECONDS
    while time.monotonic() < end:
        began = time.perf_counter()
        with place.conn.transaction():
            place.queue.enqueue(place.conn, jobs[len(latencies) % len(jobs)], context=context)
        latencies.append(time.perf_counter() - began)
    return {
        "enqueue_per_second": len(latencies) / sum(latencies),
        "enqueue_p50_ms": _percentile(latencies, 50) * 1000,
        "enqueue_p99_ms": _percentile(latencies, 99) * 1000,
    }


def bulk_enqueue(place: Place, kind: type[Noop], jobs: int) -> dict[str, float]:
    """`enqueue_many`: validated objects in, ids out."""
    made, context = list(some_jobs(kind, jobs)), some_context()
    wal, began = place.wal(), time.perf_counter()
    with place.conn.transaction():
        place.queue.enqueue_many(place.conn, made, context=context)
    seconds = time.perf_counter() - began
    return {"enqueue_many_per_second": jobs / seconds, "enqueue_wal_bytes_per_job": (place.wal() - wal) / jobs}


def relay(place: Place) -> dict[str, float]:
    """Move the whole outbox, as the process with the role does it."""
    wal, began, moved = place.wal(), time.perf_counter(), 0
    for answer in _relay_rounds(place):
        moved += answer.get("relayed", 0)
    seconds = time.perf_counter() - began
    return {"relay_per_second": moved / seconds, "relay_wal_bytes_per_job": (place.wal() - wal) / max(moved, 1)}


def drain(place: Place, jobs: int) -> dict[str, float]:
    """One worker process ends ``jobs`` jobs; timed from ready to the last settlement."""
    wal = place.wal()
    with WorkerProcess(place, jobs) as worker, _limit(_DRAIN_SECONDS, worker):
        told = worker.hear()
        written = place.wal() - wal
    return {
        "jobs_per_second": told["jobs"] / told["seconds"],
        "wal_bytes_per_job": written / told["jobs"],
        "statements_per_job": told["statements"] / told["jobs"],
        "worker_cpu_us_per_job": told["cpu_seconds"] / told["jobs"] * 1e6,
    }


def features(place: Place, jobs: int) -> dict[str, float]:
    """From the outbox to done with a unique key, a limit, a fair queue: each as a share of the plain rate.

    Rounds of all four, one after the other, because a machine's speed drifts; the middle share counts.
    """
    shares: dict[type[Noop], list[float]] = {Once: [], Limited: [], Fair: []}
    each = max(jobs // _ORGANIZATIONS, 1)
    jobs = each * _ORGANIZATIONS
    for _ in range(_ROUNDS):
        bulk_enqueue(place, Noop, jobs)
        plain = drain(place, jobs)["jobs_per_second"]
        for kind, found in shares.items():
            for count in [each] * _ORGANIZATIONS if kind is Fair else [jobs]:
                bulk_enqueue(place, kind, count)
            found.append(drain(place, jobs)["jobs_per_second"] / plain)
    return {
        "unique_share": statistics.median(shares[Once]),
        "limit_share": statistics.median(shares[Limited]),
        "fair_share": statistics.median(shares[Fair]),
    }


def latency(place: Place) -> dict[str, float]:
    """From the commit's return to the start of the job, through the outbox, everything idle before."""
    queue = Queue(settings_for(place.url, place.schema))
    engine = sa.create_engine(sqlalchemy_url(place.url))
    waits: list[float] = []
    end = time.monotonic() + _PING_SECONDS
    try:
        with WorkerProcess(place, 0) as worker, _limit(_PING_SECONDS * 3, worker):
            for number in range(_WARM_PINGS + _PINGS):
                with Session(engine) as session:
                    queue.enqueue(session, Ping(number=number), context=some_context())
                    session.commit()
                committed = time.monotonic()
                waits.append(worker.hear()["at"] - committed)
                time.sleep(random.uniform(0.01, 0.04))  # noqa: S311 - only so that no timer is met in step
                if time.monotonic() > end:
                    break
    finally:
        engine.dispose()
        if queue.waker:
            queue.waker.close()
    waits = waits[_WARM_PINGS:] or waits
    return {f"idle_latency_p{p}_ms": max(0.0, _percentile(waits, p)) * 1000 for p in (50, 95, 99)}


def claim_buffers(place: Place, finished: int) -> dict[str, float]:
    """Buffers of a claim of 100, before and after ``finished`` jobs ended while somebody holds an old snapshot."""
    bulk_enqueue(place, Noop, finished + _CLAIM)
    for _ in _relay_rounds(place):
        pass
    before = _buffers(place)
    with contextlib.closing(connect(place.url, name="pgqueue bench snapshot")) as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM pg_catalog.pg_class")
        _finish(place, finished)
        after = _buffers(place)
    return {"claim_buffers": before, "claim_buffers_held_snapshot": after}


def _finish(place: Place, jobs: int) -> None:
    """Claim and complete without running, as fast as the database can."""
    worker, end = uuid4(), time.monotonic() + _DRAIN_SECONDS
    while jobs > 0 and time.monotonic() < end:
        claimed = run(place.conn, place.lifecycle.claim(worker, {"default": min(_BATCH, jobs)}, _LEASE))
        if not claimed:
            break
        run(place.conn, place.lifecycle.settle([Settlement(c.id, c.claims, "complete", 0.0, None) for c in claimed]))
        jobs -= len(claimed)
        for _ in _relay_rounds(place, most=1):  # V moves in the relay
            pass
    for _ in _relay_rounds(place):
        pass


def _buffers(place: Place) -> float:
    """Count, in a transaction that is rolled back."""
    query = place.lifecycle.claim(uuid4(), {"default": _CLAIM}, _LEASE)
    with place.conn.transaction(force_rollback=True):
        cursor = place.conn.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.sql}", query.params)
        (plan,) = (row[0][0]["Plan"] for row in cursor)
    return float(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _relay_rounds(place: Place, most: int = 1_000_000) -> Iterator[dict[str, Any]]:
    """Call the relay until it finds nothing; another process may have the role for a moment."""
    state: dict[str, Any] | None = None
    end = time.monotonic() + _DRAIN_SECONDS
    for _ in range(most):
        answer = run(place.conn, place.lifecycle.relay(state, batch=_BATCH, term=_SHORT_TERM, wake=None))
        state = answer["state"]
        yield answer
        if time.monotonic() > end:
            raise PgqueueError("the relay was not done in time; is another worker of this schema running?")
        if state is not None and not answer.get("more"):
            return
        if state is None:
            time.sleep(0.005)


@contextlib.contextmanager
def _limit(seconds: float, worker: WorkerProcess) -> Iterator[None]:
    """End the worker when its time is over: its pipe closes, and `hear` says so."""
    timer = threading.Timer(seconds, worker.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def empty(place: Place) -> None:
    """Throw away what an earlier measure left in the outbox."""
    place.conn.execute(sql.SQL("DELETE FROM {}.outbox").format(sql.Identifier(place.schema)))


def setting(conn: psycopg.Connection[Any], name: str) -> str:
    """Return a setting of the server that the figures depend on."""
    row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""
