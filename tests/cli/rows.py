"""One call, one row: jobs and workers in the state that a test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from psycopg import Connection

    Conn = Connection[tuple[Any, ...]]

CORRELATION = UUID("00000000-0000-4000-8000-000000000001")
WORKER = UUID("00000000-0000-4000-8000-00000000000a")


def enqueue(
    conn: Conn, kind: str = "Mail", *, queue: str = "default", organization: str = "acme", args: str = '{"a": 1}'
) -> int:
    """A job in the outbox."""
    row = conn.execute(
        "SELECT pgqueue.enqueue(%s, %s, %s, 'ann', queue => %s, correlation_id => %s)",
        [kind, args, organization, queue, CORRELATION],
    ).fetchone()
    assert row is not None
    return int(row[0])


def relay(conn: Conn) -> None:
    """Move what stands in the outbox into the queue."""
    conn.execute("SELECT pgqueue.relay(NULL, 1000, '1ms')")


def ready(conn: Conn, kind: str = "Mail", **more: str) -> int:
    """A job that may be claimed."""
    job = enqueue(conn, kind, **more)
    relay(conn)
    return job


def running(conn: Conn, kind: str = "Mail", *, queue: str = "default", lease: str = "30s") -> int:
    """A job that a worker holds."""
    job = ready(conn, kind, queue=queue)
    conn.execute("SELECT pgqueue.claim(%s, %s, '{10}', %s)", [WORKER, [queue], lease])
    return job


def dead(
    conn: Conn, kind: str = "Mail", *, error: str = "no such user", organization: str = "acme", **more: Any
) -> int:
    """A dead letter."""
    row = conn.execute(
        """INSERT INTO pgqueue.dead_jobs (id, died_at, reason, error, error_type, fingerprint, queue, kind,
             payload_version, organization_id, user_id, correlation_id, trace_id, args, errors, attempt, max_attempts,
             crashes, claims, enqueued_at)
           VALUES (coalesce(%(id)s, nextval('pgqueue.job_ids')), pgqueue.clock() - %(ago)s::interval, %(reason)s,
             %(error)s,
             'ValueError', md5(%(error)s), %(queue)s, %(kind)s, 1, %(organization)s, 'ann',
             %(correlation)s, %(trace)s, %(args)s::jsonb, '[{"attempt": 1}]',
             3, 3, 0, 3, pgqueue.clock() - interval '1 hour') RETURNING id""",
        {
            "id": None,
            "ago": "3 minutes",
            "reason": "attempts",
            "queue": "default",
            "args": '{"a": 1}',
            "error": error,
            "kind": kind,
            "organization": organization,
            "correlation": CORRELATION,
            "trace": uuid4(),
            **more,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def worker(
    conn: Conn, *, queues: list[str] | None = None, kinds: list[str] | None = None, silent_for: str = "0s"
) -> None:
    """A worker process that was last heard of so long ago."""
    conn.execute(
        """INSERT INTO pgqueue.workers (id, host, pid, version, queues, kinds, concurrency, heartbeat_at)
           VALUES (%s, 'host-1', 4242, '0.1.0', %s, %s, 20, pgqueue.clock() - %s::interval)""",
        [uuid4(), queues or ["default"], kinds or ["Mail"], silent_for],
    )
    conn.execute("SELECT pgqueue.add_queue(q) FROM unnest(%s::text[]) q", [queues or ["default"]])
