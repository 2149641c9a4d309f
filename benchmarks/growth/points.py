"""One point: a database of its own, filled to a size, and how fast one worker drains jobs in it."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks import servers
from benchmarks.growth import filling
from pgqueue.bench.kinds import Noop, settings_for, some_context, some_jobs
from pgqueue.bench.measures import Place, WorkerProcess, bulk_enqueue, drain, relay
from pgqueue.db import connect, sqlalchemy_url
from pgqueue.migrate import upgrade
from pgqueue.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgqueue.embedded import EmbeddedServer
    from pgqueue.queue import Wake

JOBS = 30_000  # that are drained at each point
_SECONDS = 4.0  # of concurrent enqueues
_LONGEST = 120.0
_PROCESSES = 8


@contextlib.contextmanager
def place_of(server: EmbeddedServer) -> Iterator[Place]:
    """Make a database with an empty queue, and drop it."""
    with servers.empty_database(server) as url:
        upgrade(url)
        with contextlib.closing(connect(url, name="benchmark")) as conn:
            yield Place(conn, url, "pgqueue")


def drained(server: EmbeddedServer, fill: Callable[[Place], None], *, behind: int = JOBS) -> float:
    """Return jobs per second of one worker process, with ``behind`` jobs enqueued behind what ``fill`` makes."""
    with place_of(server) as place:
        fill(place)
        if behind:
            filling.measured(place, behind)
        servers.analyse(place.url)
        return drain(place, JOBS)["jobs_per_second"]


def sized(server: EmbeddedServer, size: int) -> float:
    """Return jobs per second with a note of ``size`` bytes among their arguments; a tenth of the jobs."""
    jobs = JOBS // 10
    with place_of(server) as place:
        made = [job.model_copy(update={"note": "word " * (size // 5)}) for job in some_jobs(Noop, jobs)]
        with place.conn.transaction():
            place.queue.enqueue_many(place.conn, made, context=some_context())
        relay(place)
        servers.analyse(place.url)
        return drain(place, jobs)["jobs_per_second"]


def shared(server: EmbeddedServer, processes: int) -> float:
    """Return jobs per second of so many worker processes together, from the first claim to the last settlement."""
    jobs = JOBS * 2
    with place_of(server) as place, contextlib.ExitStack() as workers:
        place.conn.execute("INSERT INTO pgqueue.queues (name, paused_at) VALUES ('default', clock_timestamp())")
        bulk_enqueue(place, Noop, jobs)
        relay(place)
        servers.analyse(place.url)
        for _ in range(processes):
            workers.enter_context(WorkerProcess(place, 0))
        began = time.monotonic()
        place.conn.execute("UPDATE pgqueue.queues SET paused_at = NULL")
        place.conn.execute("SELECT pg_notify('pgqueue_ready', '')")
        while (
            place.conn.execute("SELECT 1 FROM pgqueue.jobs LIMIT 1").fetchone() and time.monotonic() < began + _LONGEST
        ):
            time.sleep(0.005)
        return jobs / (time.monotonic() - began)


def enqueued(server: EmbeddedServer, enqueuers: int, wake: Wake) -> float:
    """Return transactions per second that enqueue one job each, from so many connections, in up to eight processes."""
    with place_of(server) as place:
        spawn = multiprocessing.get_context("spawn")
        processes = min(enqueuers, _PROCESSES)
        counts, gate = spawn.SimpleQueue(), spawn.Barrier(enqueuers)
        arguments = (place.url, wake, enqueuers // processes, counts, gate)
        every = [spawn.Process(target=_application, args=arguments) for _ in range(processes)]
        for one in every:
            one.start()
        try:
            for one in every:
                one.join(_LONGEST)
            return sum(int(counts.get()) for one in every if one.exitcode == 0) / _SECONDS
        finally:
            for one in every:
                one.kill()
                one.join()


def _application(url: str, wake: Wake, threads: int, counts: Any, gate: Any) -> None:
    """Enqueue from several threads of one application, which have one queue."""
    queue, engine = (
        Queue(settings_for(url, "pgqueue"), wake=wake),
        sa.create_engine(sqlalchemy_url(url), pool_size=threads),
    )
    with ThreadPoolExecutor(threads) as pool:
        counts.put(sum(pool.map(lambda _: _enqueuer(queue, engine, gate), range(threads))))
    engine.dispose()


def _enqueuer(queue: Queue, engine: sa.Engine, gate: Any) -> int:
    jobs, context = list(some_jobs(Noop, 100)), some_context()
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        session.rollback()
        gate.wait(_LONGEST)
        end, done = time.monotonic() + _SECONDS, 0
        while time.monotonic() < end:
            queue.enqueue(session, jobs[done % len(jobs)], context=context)
            session.commit()
            done += 1
    return done
