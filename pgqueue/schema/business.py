"""The tables of revision 0002: what a business needs beside the life of a job."""

from __future__ import annotations

import sqlalchemy as sa

from pgqueue.schema.columns import bigint, binary, integer, plain, time, uuid


def merged_jobs(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Ids of jobs that were merged into another one."""
    merged = sa.Table(
        "merged_jobs",
        tables,
        bigint("id", primary_key=True, autoincrement=False),
        bigint("survivor", nullable=False),
        time("merged_at", nullable=False, server_default=clock),
        plain("queue", nullable=False),
        plain("kind", nullable=False),
        integer("payload_version", nullable=False),
        plain("organization_id", nullable=False),
        plain("user_id", nullable=False),
        uuid("correlation_id", nullable=False),
        uuid("trace_id", nullable=False),
        time("enqueued_at", nullable=False),
    )
    sa.Index("merged_jobs_by_time", merged.c.merged_at)


def unique(tables: sa.MetaData) -> None:
    """Periods in which nothing else of a hash comes in."""
    periods = sa.Table(
        "unique_periods",
        tables,
        binary("unique_hash", primary_key=True),
        bigint("survivor", nullable=False),
        time("until", nullable=False),
    )
    sa.Index("unique_periods_by_time", periods.c.until)


def effects(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """What was done once, and locks with a time to live."""
    once = sa.Table(
        "once_keys",
        tables,
        plain("organization_id", primary_key=True),
        plain("key", primary_key=True),
        time("done_at", nullable=False, server_default=clock),
        time("keep_until", nullable=False),
        sa.CheckConstraint("length(organization_id) BETWEEN 1 AND 64", name="once_keys_organization_length"),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 500", name="once_keys_key_length"),
    )
    sa.Index("once_keys_by_time", once.c.keep_until)
    sa.Sequence("lock_fences", metadata=tables, data_type=sa.BigInteger, cache=1)
    locks = sa.Table(
        "locks",
        tables,
        plain("name", primary_key=True),
        bigint("fence", nullable=False),
        time("expires_at", nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 500", name="locks_name_length"),
    )
    sa.Index("locks_by_time", locks.c.expires_at)
