"""Findings about the queue itself: what stands still, what nobody knows, what died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.db import run
from pgqueue.doctor.finding import Finding, Limits, length
from pgqueue.doctor.schedules import schedules
from pgqueue.migrations import VERSION
from pgqueue.queries.control import MOST, Control
from pgqueue.queries.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from pgqueue.queries.control_rows import WorkerRow

    Check = Callable[[psycopg.Connection[Any], str, Limits, Sequence[str] | None], Iterator[Finding]]

_START = "Start workers: pgqueue work --app module:attribute."


def schema_ahead(
    conn: psycopg.Connection[Any], schema: str, _limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """A schema that is newer, but still serves this package."""
    version, _ = run(conn, Upkeep(schema).stamp())
    if version > VERSION:
        yield Finding(
            "schema-ahead",
            "note",
            f"the schema is at version {version}, this package at {VERSION}",
            "Both work together: this is how an upgrade without downtime looks in the middle.",
            "Finish the upgrade: install the newer package here.",
        )


def sequence_cache(
    conn: psycopg.Connection[Any], schema: str, _limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Ids that are handed out in advance break the outbox's mark."""
    cache = run(conn, Upkeep(schema).sequence_cache())
    if cache != [1]:
        yield Finding(
            "sequence-cache",
            "fault",
            f"the sequence of job ids has CACHE {cache[0] if cache else 'unknown'}",
            "Ids are given out of order: the relay may pass a job, and only the slow sweep finds it again.",
            f"ALTER SEQUENCE {schema}.job_ids CACHE 1; then restart what enqueues.",
        )


def outbox(
    conn: psycopg.Connection[Any], schema: str, limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Committed jobs that nobody moves into the queue."""
    control = Control(schema)
    oldest = run(conn, control.oldest_enqueued())
    if oldest is None or oldest.age_seconds <= limits.outbox_age:
        return
    alive = [one for one in run(conn, control.worker_list(silent=limits.silent)) if not one.silent]
    if alive:
        meaning = f"{len(alive)} worker process(es) live, but none of them moves committed jobs into the queue."
        advice = (
            f"Look for relay errors in their logs, and for who holds locks: pg_locks of the relation {schema}.turns."
        )
    else:
        meaning, advice = "No worker is alive: committed jobs wait safely, but nothing runs.", _START
    yield Finding(
        "outbox-stands-still",
        "fault",
        f"the outbox does not move: job {oldest.id} has stood there for {length(oldest.age_seconds)}",
        meaning,
        advice,
        {"id": oldest.id, "age_seconds": oldest.age_seconds, "workers_alive": len(alive)},
    )


def workers(
    conn: psycopg.Connection[Any], schema: str, limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Workers that stopped talking, and queues that nobody serves."""
    control = Control(schema)
    found = run(conn, control.worker_list(silent=limits.silent))
    silent = [one for one in found if one.silent]
    if silent:
        yield Finding(
            "silent-workers",
            "warning",
            f"{len(silent)} worker process(es) silent: {', '.join(map(_named, silent[:5]))}",
            "They died without a word, or cannot reach the database. Their jobs are rescued when the leases end.",
            "Look at these processes on their hosts; rows of dead ones disappear by themselves.",
            {"workers": [str(one.id) for one in silent]},
        )
    for queue in run(conn, control.queue_stats(silent=limits.silent)):
        if queue.paused_at and queue.ready:
            yield Finding(
                "paused-queue",
                "note",
                f"the queue {queue.queue} is paused{f' by {queue.paused_by}' if queue.paused_by else ''}, "
                f"{queue.ready} job(s) are ready",
                "They wait until the queue is opened again.",
                f"pgqueue queues resume {queue.queue}",
            )
        elif queue.ready and not queue.workers:
            yield Finding(
                "unserved-queue",
                "fault",
                f"nobody serves the queue {queue.queue}: {queue.ready} job(s) ready for up to "
                f"{length(queue.oldest_ready_seconds)}",
                "No living worker names this queue.",
                f"pgqueue work --queues {queue.queue} --app module:attribute",
            )


def _named(worker: WorkerRow) -> str:
    return f"{worker.host} pid {worker.pid} (for {length(worker.heartbeat_age_seconds)})"


def unknown_kinds(
    conn: psycopg.Connection[Any], schema: str, limits: Limits, kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Jobs that no living worker can run, because it does not know the kind or the version."""
    why = {
        "parked": "Workers gave them back several times; they are parked until one that knows the kind starts.",
        "refused": "Workers give them back with growing delay; after a few rounds they are parked.",
        "unserved": "They are ready, and no living worker of their queue lists this kind.",
    }
    for row in run(conn, Control(schema).unknown_kinds(silent=limits.silent)):
        known = kinds is not None and row.kind in kinds
        title = f"{row.jobs} job(s) of the unknown kind {row.kind!r} version {row.payload_version} ({row.why})"
        yield Finding(
            "unknown-kind",
            "fault",
            title,
            f"{why[row.why]} Nothing is lost, no attempt is spent. For example job {row.sample_id}.",
            "The named App knows this kind: restart workers with it."
            if known
            else "Deploy workers that know it; if it was renamed, keep a class with kind=… for the old name; "
            f"if nobody wants them: pgqueue jobs list --kind {row.kind}, then pgqueue jobs cancel.",
            row._asdict(),
        )


def expired_leases(
    conn: psycopg.Connection[Any], schema: str, limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Running jobs whose worker is gone and that nobody rescues."""
    found = run(conn, Control(schema).expired_leases(grace=limits.lease_grace))
    if found:
        worst = found[0]
        yield Finding(
            "expired-leases",
            "fault",
            f"{len(found)}{'+' if len(found) == 20 else ''} running job(s) with expired leases, "  # noqa: PLR2004 - the block's limit
            f"job {worst.id} ({worst.kind}) for {length(worst.expired_seconds)}",
            "Their workers are gone, and no living worker rescues them.",
            f"{_START} Any worker rescues the jobs of all queues.",
            {"ids": [one.id for one in found]},
        )


def dead_letters(
    conn: psycopg.Connection[Any], schema: str, _limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Jobs that ended without success and wait for a person."""
    groups = run(conn, Control(schema).dead_by_error(limit=3))
    if not groups:
        return
    jobs = sum(queue.dead for queue in run(conn, Control(schema).queue_stats(silent=_limits.silent)))
    most = "; ".join(f"{one.jobs} x {one.name}" for one in groups)
    yield Finding(
        "dead-letters",
        "warning",
        f"{jobs}{'+' if jobs >= MOST else ''} dead letter(s), most of them: {most}",
        "These jobs ended without success and wait for a person.",
        "pgqueue dead list --by error; then pgqueue dead requeue or pgqueue dead discard.",
    )


ALL: tuple[Check, ...] = (
    schema_ahead,
    sequence_cache,
    outbox,
    workers,
    unknown_kinds,
    expired_leases,
    dead_letters,
    schedules,
)
