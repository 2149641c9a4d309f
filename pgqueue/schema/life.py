"""A job's places: outbox, jobs, dead_jobs, finished_jobs, and what helps the relay."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pgqueue.schema.columns import (
    bigint,
    binary,
    boolean,
    identity,
    integer,
    interval,
    job_checks,
    json,
    plain,
    smallint,
    text,
    time,
    uuid,
)

_REASONS = "('attempts', 'crashed', 'expired', 'dead', 'invalid', 'unmovable')"
"""Why a job can die."""


def outbox(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Jobs that a transaction enqueued and the relay has not taken yet."""
    ids = sa.Sequence("job_ids", metadata=tables, data_type=sa.BigInteger, cache=1)
    sa.Table(
        "outbox",
        tables,
        smallint("lane", primary_key=True, autoincrement=False, server_default=sa.text("0")),
        sa.Column("id", sa.BigInteger, primary_key=True, server_default=ids.next_value()),
        time("enqueued_at", nullable=False, server_default=clock),
        time("run_at"),
        interval("delay"),
        interval("max_age"),
        integer("payload_version", nullable=False, server_default=sa.text("1")),
        smallint("max_attempts"),
        smallint("priority", nullable=False, server_default=sa.text("0")),
        *identity(),
        binary("unique_hash"),
        text("unique_while"),
        interval("unique_period"),
        text("on_conflict"),
        interval("unique_max_wait"),
        sa.Column("limits", ARRAY(sa.Text)),
        smallint("cost"),
        json("args", nullable=False),
        *job_checks("outbox", f"limits IS NULL OR {tables.schema}.limits_readable(limits)"),
        sa.CheckConstraint("unique_while IN ('waiting', 'live', 'period')", name="outbox_unique_while_known"),
        sa.CheckConstraint(
            "unique_period BETWEEN interval '1 second' AND interval '3650 days'", name="outbox_unique_period_sane"
        ),
        sa.CheckConstraint("on_conflict IN ('skip', 'replace', 'replace_args')", name="outbox_on_conflict_known"),
        sa.CheckConstraint(
            "unique_max_wait BETWEEN interval '1 second' AND interval '3650 days'", name="outbox_unique_max_wait_sane"
        ),
        sa.CheckConstraint(
            "unique_hash IS NOT NULL OR num_nonnulls(unique_while, unique_period, unique_max_wait, on_conflict) = 0",
            name="outbox_unique_needs_hash",
        ),
        sa.CheckConstraint(
            "(unique_while IS NOT DISTINCT FROM 'period') = (unique_period IS NOT NULL)",
            name="outbox_unique_period_has_length",
        ),
        sa.CheckConstraint(
            "unique_while <> 'period' OR on_conflict = 'skip'", name="outbox_unique_period_keeps_the_first"
        ),
        sa.CheckConstraint("lane IN (0, 1, 2)", name="outbox_lane_known"),
        sa.CheckConstraint("delay BETWEEN interval '0' AND interval '3650 days'", name="outbox_delay_sane"),
        sa.CheckConstraint("max_age BETWEEN interval '1 second' AND interval '3650 days'", name="outbox_max_age_sane"),
        sa.CheckConstraint("priority BETWEEN 0 AND 3", name="outbox_priority_known"),
        sa.CheckConstraint("payload_version > 0", name="outbox_payload_version_positive"),
        sa.CheckConstraint("length(unique_hash) <= 64", name="outbox_unique_hash_length"),
    )


def _readable() -> list[sa.CheckConstraint]:
    """What the relay and every ending read, also if a person wrote it at a console."""
    return [
        sa.CheckConstraint(
            "NOT starts_with(hold, 'unique:') OR hold ~ '^unique:([0-9a-f]{2})+$'", name="jobs_hold_readable"
        ),
        sa.CheckConstraint("isfinite(expires_at)", name="jobs_expires_at_finite"),
        sa.CheckConstraint(
            "not_before BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'", name="jobs_not_before_sane"
        ),
        sa.CheckConstraint(f"doomed IN {_REASONS}", name="jobs_doomed_known"),
        sa.CheckConstraint("jsonb_typeof(errors) = 'array'", name="jobs_errors_listed"),
    ]


def jobs(tables: sa.MetaData) -> None:
    """Every live job."""
    zero = sa.text("0")
    jobs = sa.Table(
        "jobs",
        tables,
        bigint("id", primary_key=True, autoincrement=False),
        time("enqueued_at", nullable=False),
        time("expires_at"),
        time("run_at"),
        bigint("position"),
        time("claimed_at"),
        time("lease_until"),
        uuid("claimed_by"),
        integer("claims", nullable=False, server_default=zero),
        smallint("attempt", nullable=False, server_default=zero),
        smallint("crashes", nullable=False, server_default=zero),
        smallint("refusals", nullable=False, server_default=zero),
        smallint("max_attempts"),
        integer("payload_version", nullable=False, server_default=sa.text("1")),
        smallint("lane", nullable=False, server_default=zero),
        boolean("front", nullable=False, server_default=sa.false()),
        boolean("cancel_requested", nullable=False, server_default=sa.false()),
        bigint("permit"),
        *identity(),
        plain("hold"),
        text("doomed"),
        time("not_before"),
        binary("unique_hash"),
        sa.Column("limits", ARRAY(sa.Text)),
        smallint("cost"),
        json("args", nullable=False),
        json("errors", nullable=False, server_default=sa.text("'[]'")),
        *job_checks("jobs", "cardinality(limits) BETWEEN 1 AND 5"),
        sa.CheckConstraint("lane BETWEEN 0 AND 3", name="jobs_lane_known"),
        sa.CheckConstraint("hold IS NULL OR (position IS NULL AND run_at IS NULL)", name="jobs_held_stand_nowhere"),
        sa.CheckConstraint(
            "claimed_by IS NULL OR (position IS NOT NULL AND lease_until IS NOT NULL AND claimed_at IS NOT NULL)",
            name="jobs_running_have_position_and_lease",
        ),
        sa.CheckConstraint("position IS NOT NULL OR run_at IS NOT NULL OR hold IS NOT NULL", name="jobs_have_a_place"),
        *_readable(),
        postgresql_with={"fillfactor": 45},
    )
    column = jobs.c
    sa.Index("jobs_ready", column.queue, column.lane, column.position, postgresql_where=column.position.is_not(None))
    sa.Index("jobs_waiting", column.run_at, postgresql_where=column.run_at.is_not(None) & column.position.is_(None))
    sa.Index("jobs_held", column.hold, column.enqueued_at, column.id, postgresql_where=column.hold.is_not(None))
    sa.Index("jobs_unique", column.unique_hash, postgresql_where=column.unique_hash.is_not(None), unique=True)


def pins(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Unclaimed rows that somebody keeps locked and that the mark had to pass."""
    sa.Table(
        "pins",
        tables,
        bigint("job_id", primary_key=True, autoincrement=False),
        bigint("position", nullable=False),
        time("pinned_at", nullable=False, server_default=clock),
    )


def dead_jobs(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """The dead letter queue."""
    dead = sa.Table(
        "dead_jobs",
        tables,
        bigint("id", primary_key=True, autoincrement=False),
        time("died_at", nullable=False, server_default=clock),
        text("reason", nullable=False),
        text("error"),
        text("error_type"),
        plain("fingerprint"),
        *identity(),
        integer("payload_version", nullable=False),
        json("args", nullable=False),
        json("errors", nullable=False, server_default=sa.text("'[]'")),
        smallint("attempt", nullable=False),
        smallint("max_attempts"),
        smallint("crashes", nullable=False),
        integer("claims", nullable=False),
        smallint("lane", nullable=False, server_default=sa.text("0")),
        time("enqueued_at", nullable=False),
        time("run_at"),
        time("started_at"),
        uuid("worker_id"),
        binary("unique_hash"),
        sa.Column("limits", ARRAY(sa.Text)),
        smallint("cost"),
        time("requeued_at"),
        text("requeued_by"),
        sa.CheckConstraint(f"reason IN {_REASONS}", name="dead_jobs_reason_known"),
        sa.CheckConstraint("jsonb_typeof(errors) = 'array'", name="dead_jobs_errors_listed"),
    )
    column = dead.c
    sa.Index("dead_jobs_by_time", column.died_at)
    sa.Index("dead_jobs_by_kind", column.kind, column.died_at)
    sa.Index("dead_jobs_by_organization", column.organization_id, column.died_at)
    sa.Index("dead_jobs_by_fingerprint", column.fingerprint)


def finished_jobs(tables: sa.MetaData) -> None:
    """Completed, cancelled and discarded jobs for as long as they are kept."""
    sa.Table(
        "finished_jobs",
        tables,
        bigint("id", primary_key=True, autoincrement=False),
        time("keep_until", primary_key=True),
        time("finished_at", nullable=False),
        text("state", nullable=False),
        text("reason"),
        *identity(),
        integer("payload_version", nullable=False),
        smallint("attempt", nullable=False),
        smallint("max_attempts"),
        smallint("crashes", nullable=False),
        integer("claims", nullable=False),
        time("enqueued_at", nullable=False),
        time("run_at"),
        time("started_at"),
        uuid("worker_id"),
        json("args", nullable=False),
        json("errors", nullable=False),
        sa.CheckConstraint("state IN ('completed', 'cancelled', 'discarded')", name="finished_jobs_state_known"),
        postgresql_partition_by="RANGE (keep_until)",
    )
