"""What the blocks of ``control.sql`` take and return, in the order of their columns.

Field names are the keys of ``--json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID


class DeadFilter(NamedTuple):
    """Which dead letters; what is None does not matter. ``fingerprint`` may be its beginning; ``since`` is an age."""

    queue: str | None = None
    kind: str | None = None
    organization_id: str | None = None
    correlation_id: UUID | None = None
    reason: str | None = None
    fingerprint: str | None = None
    since: timedelta | None = None

    def told(self) -> dict[str, object]:
        """Return what was asked for, as it is written into the record of actions."""
        return {name: str(value) for name, value in self._asdict().items() if value is not None}


class FoundJob(NamedTuple):
    """One line of `jobs list`."""

    id: int
    state: str
    queue: str
    kind: str
    organization_id: str
    user_id: str
    correlation_id: UUID
    attempt: int
    max_attempts: int | None
    run_at: datetime | None
    enqueued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker_id: UUID | None
    reason: str | None
    age_seconds: float
    starts_in_seconds: float | None


class ShownJob(NamedTuple):
    """All that is known of one job; ``args`` and ``errors`` are JSON as PostgreSQL prints it."""

    id: int
    state: str
    queue: str
    kind: str
    payload_version: int
    organization_id: str
    user_id: str
    correlation_id: UUID
    trace_id: UUID
    attempt: int
    max_attempts: int | None
    crashes: int
    run_at: datetime | None
    enqueued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker_id: UUID | None
    reason: str | None
    args: str | None
    """None: the job was merged into another one."""
    errors: str


class FoundDead(NamedTuple):
    """One line of `dead list`."""

    id: int
    died_at: datetime
    reason: str
    queue: str
    kind: str
    organization_id: str
    user_id: str
    correlation_id: UUID
    attempt: int
    crashes: int
    error_type: str | None
    error: str | None
    fingerprint: str | None
    requeued_by: str | None
    age_seconds: float


class ShownDead(NamedTuple):
    """All that is known of one dead letter; ``args`` and ``errors`` are JSON as PostgreSQL prints it."""

    id: int
    died_at: datetime
    reason: str
    error: str | None
    error_type: str | None
    fingerprint: str | None
    queue: str
    kind: str
    payload_version: int
    organization_id: str
    user_id: str
    correlation_id: UUID
    trace_id: UUID
    attempt: int
    max_attempts: int | None
    crashes: int
    enqueued_at: datetime
    run_at: datetime | None
    started_at: datetime | None
    worker_id: UUID | None
    requeued_at: datetime | None
    requeued_by: str | None
    args: str
    errors: str


class DeadGroup(NamedTuple):
    """Dead letters that have something in common."""

    name: str
    jobs: int
    first_died_at: datetime
    last_died_at: datetime
    sample_id: int
    sample_error: str | None


class QueueStats(NamedTuple):
    """How one queue stands; ``at_least``: some count was cut off at the limit."""

    queue: str
    paused_at: datetime | None
    paused_by: str | None
    resume_at: datetime | None
    workers_per_host: int | None
    """Set at run time, over what hosts have configured; by whom and when follows."""
    workers_by: str | None
    workers_at: datetime | None
    enqueued: int
    waiting: int
    held: int
    ready: int
    running: int
    dead: int
    oldest_ready_seconds: float | None
    workers: int
    at_least: bool


class WorkerRow(NamedTuple):
    """A worker process as it last described itself."""

    id: UUID
    host: str
    pid: int
    version: str
    queues: list[str]
    kinds: list[str]
    concurrency: int
    running: int
    draining: bool
    asked: str | None
    started_at: datetime
    heartbeat_at: datetime
    age_seconds: float
    heartbeat_age_seconds: float
    silent: bool


class UnknownKindRow(NamedTuple):
    """Jobs that no worker knows how to run; ``why``: parked, refused or unserved."""

    why: str
    kind: str
    payload_version: int
    jobs: int
    sample_id: int


class Enqueued(NamedTuple):
    """The oldest row of the outbox."""

    id: int
    age_seconds: float


class ExpiredLease(NamedTuple):
    """A running job whose worker stopped renewing its lease."""

    id: int
    kind: str
    queue: str
    worker_id: UUID
    expired_seconds: float


class Snapshot(NamedTuple):
    """Who holds the oldest transaction open; ``transactions``: how many began since."""

    what: str
    pid: int | None
    name: str | None
    state: str | None
    age_seconds: float | None
    query_age_seconds: float | None
    query: str | None
    transactions: int
