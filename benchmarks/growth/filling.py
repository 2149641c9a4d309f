"""What a queue may hold besides the jobs that are measured, made in bulk, of the shape that real use leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.bench.kinds import Fair, Noop, some_context, some_jobs
from pgqueue.bench.measures import bulk_enqueue, relay
from pgqueue.context import Context

if TYPE_CHECKING:
    from pgqueue.bench.measures import Place

_AT_ONCE = 100_000  # rows of one transaction
_OUTBOX = """
INSERT INTO pgqueue.outbox (lane, queue, kind, organization_id, user_id, correlation_id, trace_id, run_at, args)
SELECT 1, {queue}, 'bench.Noop', 'org', 'user', gen_random_uuid(), gen_random_uuid(), {run_at},
       jsonb_build_object('post_id', gen_random_uuid(), 'account_id', gen_random_uuid(), 'network', 'n' || n %% 100,
                          'size', n, 'note', repeat('x', 60))
FROM generate_series(%s::bigint, %s::bigint) AS n
"""
_FINISHED = """
INSERT INTO pgqueue.finished_jobs
  (keep_until, finished_at, id, state, queue, kind, payload_version, organization_id, user_id, correlation_id, trace_id,
   attempt, max_attempts, crashes, claims, enqueued_at, args, errors)
SELECT clock_timestamp() + interval '1 day', clock_timestamp(), -n, 'completed', 'default', 'bench.Noop', 1, 'org',
       'user', gen_random_uuid(), gen_random_uuid(), 1, 5, 0, 1, clock_timestamp(), '{}', '[]'
FROM generate_series(%s::bigint, %s::bigint) AS n
"""


def ready(place: Place, size: int) -> None:
    """Jobs that stand in line: the measured ones among them, at the front."""
    _through_the_outbox(place, size, queue="'default'", run_at="NULL")


def later(place: Place, size: int) -> None:
    """Jobs for another day."""
    _through_the_outbox(
        place, size, queue="'default'", run_at="clock_timestamp() + interval '1 day' + n * interval '1 ms'"
    )


def queues(place: Place, size: int) -> None:
    """Queues that nobody serves here, with ten jobs each."""
    _through_the_outbox(place, size * 10, queue=f"'other' || n %% {max(size, 1)}", run_at="NULL")


def finished(place: Place, size: int) -> None:
    """Rows of jobs that ended, kept for a day; written as settling writes them, without running millions of jobs."""
    for first, last in _pieces(size):
        place.conn.execute(_FINISHED, [first, last])


def tenants(place: Place, size: int, jobs: int) -> None:
    """Spread jobs of a fair queue over so many organizations."""
    each = max(jobs // size, 1)
    made = list(some_jobs(Fair, each))
    user = some_context().user_id
    for start in range(0, max(jobs // each, 1), 100):
        with place.conn.transaction():
            for number in range(start, min(start + 100, jobs // each)):
                context = Context(organization_id=f"org{number % size}", user_id=user)
                place.queue.enqueue_many(place.conn, made, context=context)
    relay(place)


def measured(place: Place, jobs: int) -> None:
    """Enqueue the jobs that are measured, behind everything else."""
    bulk_enqueue(place, Noop, jobs)
    relay(place)


def _through_the_outbox(place: Place, size: int, *, queue: str, run_at: str) -> None:
    statement = _OUTBOX.format(queue=queue, run_at=run_at)
    for first, last in _pieces(size):
        place.conn.execute(statement, [first, last])
        relay(place)


def _pieces(size: int) -> list[tuple[int, int]]:
    return [(start + 1, min(start + _AT_ONCE, size)) for start in range(0, size, _AT_ONCE)]
