"""What people do to jobs and queues, and what they look at."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, LiteralString, TypeVar

from pgqueue.db import Query
from pgqueue.queries.control_rows import (
    DeadGroup,
    Enqueued,
    ExpiredLease,
    FoundDead,
    FoundJob,
    QueueStats,
    ShownDead,
    ShownJob,
    Snapshot,
    UnknownKindRow,
    WorkerRow,
)
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from pgqueue.db import Rows
    from pgqueue.queries.control_rows import DeadFilter

T = TypeVar("T")

_MOST_IDS = 100
KEEP = timedelta(days=7)
"""How long a job is kept that somebody cancelled or discarded."""
MOST = 10_000
"""Counts for people go no further than this, so that looking at a full queue costs it nothing."""


class Control:
    """The blocks of ``control.sql`` for one schema."""

    def __init__(self, schema: str = "pgqueue") -> None:
        """Load the chapter."""
        self._sql = load(schema).statements

    # ------------------------------------------------------------ what people do

    def cancel(self, job_id: int, *, reason: str, keep: timedelta = KEEP, by: str = "") -> Query[str | None]:
        """Cancel a live job: "cancelled", "asked" (its worker is told), "merged" (nothing done), None (not live)."""
        params = {"id": job_id, "reason": reason, "keep": keep, "by": by}
        return Query(self._sql["cancel"], _first_or_none, params)

    def requeue(
        self,
        ids: Sequence[int],
        *,
        by: str,
        spacing: timedelta = timedelta(),
        ahead: int = 0,
        told: Mapping[str, object] | None = None,
    ) -> Query[list[int]]:
        """Give dead jobs another life; returns those that live again.

        ``spacing``: each so much later than the one before, of which there are ``ahead`` already; ``told``: what was
        asked for, for the record.
        """
        params = {"ids": list(ids), "by": by, "spacing": spacing, "placed": ahead, "filter": _filter(ids, told)}
        return Query(self._sql["requeue"], _values, params)

    def dead_rivals(self, ids: Sequence[int]) -> Query[dict[int, int]]:
        """Return, for dead jobs that cannot be requeued, which live job is the same."""
        return Query(self._sql["dead_rivals"], dict, {"ids": list(ids)})

    def survivor(self, job_id: int) -> Query[int | None]:
        """Return the job into which this one was merged, or None."""
        return Query(self._sql["survivor"], _first_or_none, {"id": job_id})

    def discard_dead(
        self,
        ids: Sequence[int],
        *,
        reason: str,
        by: str,
        keep: timedelta = KEEP,
        told: Mapping[str, object] | None = None,
    ) -> Query[list[int]]:
        """End dead jobs as discarded; returns those that were dead."""
        params = {"ids": list(ids), "reason": reason, "by": by, "keep": keep, "filter": _filter(ids, told)}
        return Query(self._sql["discard_dead"], _values, params)

    def know_queue(self, queue: str) -> Query[None]:
        """Give a queue its row whose jobs only the outbox has yet, so that it can be steered."""
        return Query(self._sql["know_queue"], _nothing, {"queue": queue})

    def pause(self, queue: str, *, by: str, duration: timedelta | None = None) -> Query[bool]:
        """Stop claims from the queue, for a while or until it is resumed; False: no such queue."""
        return Query(self._sql["pause"], bool, {"queue": queue, "by": by, "duration": duration})

    def resume(self, queue: str, *, by: str) -> Query[bool]:
        """Let the queue be claimed from again; False: no such queue."""
        return Query(self._sql["resume"], bool, {"queue": queue, "by": by})

    def wake(self, channel: str, payload: str) -> Query[None]:
        """Hint at work."""
        return Query(self._sql["wake"], _nothing, {"channel": channel, "payload": payload})

    # ------------------------------------------------------------ what people look at

    def find_jobs(
        self,
        *,
        limit: int,
        queue: str | None = None,
        kind: str | None = None,
        states: Sequence[str] | None = None,
        organization_id: str | None = None,
        correlation_id: UUID | None = None,
    ) -> Query[list[FoundJob]]:
        """Find jobs in any state, newest first."""
        params = {
            "limit": limit,
            "queue": queue,
            "kind": kind,
            "states": list(states) if states else None,
            "organization_id": organization_id,
            "correlation_id": correlation_id,
        }
        return Query(self._sql["find_jobs"], _each(FoundJob._make), params)

    def show_job(self, job_id: int) -> Query[ShownJob | None]:
        """Return everything about one job, or None when it is no longer kept."""
        return Query(self._sql["show_job"], _one(ShownJob._make), {"id": job_id})

    def find_dead(self, which: DeadFilter, *, limit: int) -> Query[list[FoundDead]]:
        """Find dead letters, the last to die first."""
        return Query(self._sql["find_dead"], _each(FoundDead._make), {**which._asdict(), "limit": limit})

    def dead_ids(self, which: DeadFilter, *, after: int, until: datetime, limit: int) -> Query[list[int]]:
        """Return a page of ids of dead letters that died until then, in order."""
        params = {**which._asdict(), "after": after, "until": until, "limit": limit}
        return Query(self._sql["dead_ids"], _values, params)

    def still_dead(self, ids: Sequence[int]) -> Query[list[int]]:
        """Of these jobs, return those that are dead."""
        return Query(self._sql["still_dead"], _values, {"ids": list(ids)})

    def show_dead(self, job_id: int) -> Query[ShownDead | None]:
        """Return everything about one dead letter."""
        return Query(self._sql["show_dead"], _one(ShownDead._make), {"id": job_id})

    def dead_by_error(self, *, limit: int) -> Query[list[DeadGroup]]:
        """Count dead letters by fault and kind, most first."""
        return self._dead_groups(self._sql["dead_by_error"], limit)

    def dead_by_kind(self, *, limit: int) -> Query[list[DeadGroup]]:
        """Count dead letters by kind, most first."""
        return self._dead_groups(self._sql["dead_by_kind"], limit)

    def dead_by_organization(self, *, limit: int) -> Query[list[DeadGroup]]:
        """Count dead letters by organization, most first."""
        return self._dead_groups(self._sql["dead_by_organization"], limit)

    def _dead_groups(self, sql: LiteralString, limit: int) -> Query[list[DeadGroup]]:
        return Query(sql, _each(DeadGroup._make), {"limit": limit})

    def now(self) -> Query[datetime]:
        """Return the queue's time."""
        return Query(self._sql["now"], _first)

    def queue_stats(self, *, silent: timedelta, most: int = MOST) -> Query[list[QueueStats]]:
        """Return how every known queue stands; workers count while they are not ``silent`` for longer."""
        return Query(self._sql["queue_stats"], _each(QueueStats._make), {"silent": silent, "most": most})

    def queue_names(self) -> Query[list[str]]:
        """Return the queues that have or had a job or a worker."""
        return Query(self._sql["queue_names"], _values)

    def worker_list(self, *, silent: timedelta) -> Query[list[WorkerRow]]:
        """Return the registered workers; ``silent``: no heartbeat for longer than this."""
        return Query(self._sql["worker_list"], _each(WorkerRow._make), {"silent": silent})

    # ------------------------------------------------------------ what the doctor asks

    def unknown_kinds(self, *, silent: timedelta, most: int = MOST) -> Query[list[UnknownKindRow]]:
        """Find jobs that no living worker knows how to run."""
        return Query(self._sql["unknown_kinds"], _each(UnknownKindRow._make), {"silent": silent, "most": most})

    def oldest_enqueued(self) -> Query[Enqueued | None]:
        """Return the oldest row that the relay has not taken yet."""
        return Query(self._sql["oldest_enqueued"], _one(Enqueued._make))

    def expired_leases(self, *, grace: timedelta, most: int = MOST) -> Query[list[ExpiredLease]]:
        """Find running jobs whose lease ended longer ago than ``grace`` and that nobody rescued."""
        return Query(self._sql["expired_leases"], _each(ExpiredLease._make), {"grace": grace, "most": most})

    def oldest_snapshot(self) -> Query[Snapshot | None]:
        """Return who holds the oldest transaction of this database open."""
        return Query(self._sql["oldest_snapshot"], _one(Snapshot._make))

    def server_settings(self) -> Query[dict[str, str]]:
        """Return the server's settings that decide whether a commit survives."""
        return Query(self._sql["server_settings"], dict)


def _filter(ids: Sequence[int], told: Mapping[str, object] | None) -> str:
    """Return what the record says of which jobs: the filter, or the ids as far as they are few."""
    return json.dumps(told or {"ids": list(ids[:_MOST_IDS])})


def _each(make: Callable[[tuple[Any, ...]], T]) -> Callable[[Rows], list[T]]:
    return lambda rows: [make(row) for row in rows]


def _one(make: Callable[[tuple[Any, ...]], T]) -> Callable[[Rows], T | None]:
    return lambda rows: make(rows[0]) if rows else None


def _first(rows: Rows) -> Any:
    return rows[0][0]


def _first_or_none(rows: Rows) -> Any:
    return rows[0][0] if rows else None


def _values(rows: Rows) -> list[Any]:
    return [row[0] for row in rows]


def _nothing(_rows: Rows) -> None:
    return None
