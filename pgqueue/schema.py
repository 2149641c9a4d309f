"""The queue's tables for SQLAlchemy: what the migrations make, for `alembic check` and for typed queries by hand.

    jobs = pgqueue.schema.metadata().tables["pgqueue.jobs"]

Only described here, never created from here: the revisions in `pgqueue.migrations` do that.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, REGCLASS

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_DAY = re.compile(r"^finished_jobs_(later|[0-9]{8})$")

_bigint = partial(sa.Column, type_=sa.BigInteger)
_integer = partial(sa.Column, type_=sa.Integer)
_smallint = partial(sa.Column, type_=sa.SmallInteger)
_boolean = partial(sa.Column, type_=sa.Boolean)
_uuid = partial(sa.Column, type_=sa.Uuid)
_text = partial(sa.Column, type_=sa.Text)
_bytes = partial(sa.Column, type_=BYTEA)
_json = partial(sa.Column, type_=JSONB)
_time = partial(sa.Column, type_=sa.DateTime(timezone=True))
_interval = partial(sa.Column, type_=sa.Interval)


def _plain(name: str, **more: Any) -> sa.Column[Any]:
    """Text that is compared byte by byte, whatever the database's language."""
    return sa.Column(name, sa.Text(collation="C"), **more)


@cache
def metadata(schema: str = "pgqueue") -> sa.MetaData:
    """Describe the tables of a queue that lives in ``schema``."""
    tables = sa.MetaData(schema=schema)
    clock = sa.text(f"{schema}.clock()")
    _settings(tables, clock)
    _processes(tables, clock)
    _outbox(tables, clock)
    _jobs(tables)
    _pins(tables, clock)
    _dead_jobs(tables, clock)
    _finished_jobs(tables)
    return tables


def include_name(name: str | None, kind: str, parents: MutableMapping[Any, Any]) -> bool:
    """For Alembic's `include_name`: leave out the days of finished_jobs, which come and go without a migration."""
    return not (kind == "table" and name is not None and _DAY.match(name) and parents.get("schema_name"))


def _settings(tables: sa.MetaData, clock: sa.TextClause) -> None:
    sa.Table(
        "stamp",
        tables,
        _integer("version", nullable=False),
        _integer("least_worker", nullable=False),
        _boolean("one", primary_key=True, server_default=sa.true()),
        sa.CheckConstraint("one", name="stamp_is_one_row"),
    )
    sa.Table("turns", tables, _text("name", primary_key=True))
    sa.Table(
        "queues",
        tables,
        _plain("name", primary_key=True),
        sa.Column("number", sa.Integer, sa.Identity(always=True), nullable=False),
        _text("order", nullable=False, server_default="fifo"),
        _integer("workers"),
        _time("paused_at"),
        _text("paused_by"),
        _time("created_at", nullable=False, server_default=clock),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'", name="queues_name_plain"),
        sa.CheckConstraint("\"order\" IN ('fifo', 'fair')", name="queues_order_known"),
        sa.CheckConstraint("workers > 0", name="queues_workers_positive"),
    )
    sa.Table(
        "marks",
        tables,
        sa.Column("queue", sa.Text(collation="C"), sa.ForeignKey("queues.name"), primary_key=True),
        _smallint("lane", primary_key=True, autoincrement=False),
        sa.Column("head", REGCLASS, nullable=False),
        sa.Column("mark", REGCLASS, nullable=False),
    )


def _processes(tables: sa.MetaData, clock: sa.TextClause) -> None:
    sa.Table(
        "workers",
        tables,
        _uuid("id", primary_key=True),
        _text("host", nullable=False),
        _integer("pid", nullable=False),
        _text("version", nullable=False),
        sa.Column("queues", ARRAY(sa.Text), nullable=False),
        sa.Column("kinds", ARRAY(sa.Text), nullable=False),
        _integer("concurrency", nullable=False),
        _integer("running", nullable=False, server_default=sa.text("0")),
        _time("started_at", nullable=False, server_default=clock),
        _time("heartbeat_at", nullable=False, server_default=clock),
        _boolean("draining", nullable=False, server_default=sa.false()),
        postgresql_with={"fillfactor": 50},
    )
    sa.Table(
        "schedules",
        tables,
        _plain("name", primary_key=True),
        _plain("kind", nullable=False),
        _plain("queue", nullable=False),
        _json("args", nullable=False, server_default=sa.text("'{}'")),
        _text("cron", nullable=False),
        _text("time_zone", nullable=False, server_default="UTC"),
        _time("next_run_at"),
        _time("paused_at"),
        _time("created_at", nullable=False, server_default=clock),
    )


def _identity() -> Iterator[sa.Column[Any]]:
    """Whose job it is, and which."""
    yield _uuid("correlation_id", nullable=False)
    yield _uuid("trace_id", nullable=False)
    yield _plain("queue", nullable=False)
    yield _plain("kind", nullable=False)
    yield _plain("organization_id", nullable=False)
    yield _plain("user_id", nullable=False)


def _job_checks(table: str) -> Iterator[sa.CheckConstraint]:
    """What outbox and jobs both demand, so that a row of the one always fits the other."""
    for name, rule in {
        "queue_plain": "queue ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'",
        "kind_length": "length(kind) BETWEEN 1 AND 200",
        "organization_length": "length(organization_id) BETWEEN 1 AND 64",
        "user_length": "length(user_id) BETWEEN 1 AND 64",
        "args_object": "jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608",
        "enqueued_at_sane": "enqueued_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "run_at_sane": "run_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "max_attempts_bounded": "max_attempts BETWEEN 1 AND 100",
    }.items():
        yield sa.CheckConstraint(rule, name=f"{table}_{name}")


def _outbox(tables: sa.MetaData, clock: sa.TextClause) -> None:
    ids = sa.Sequence("job_ids", metadata=tables, data_type=sa.BigInteger, cache=1)
    sa.Table(
        "outbox",
        tables,
        _smallint("lane", primary_key=True, autoincrement=False, server_default=sa.text("0")),
        sa.Column("id", sa.BigInteger, primary_key=True, server_default=ids.next_value()),
        _time("enqueued_at", nullable=False, server_default=clock),
        _time("run_at"),
        _interval("delay"),
        _interval("max_age"),
        _integer("payload_version", nullable=False, server_default=sa.text("1")),
        _smallint("max_attempts"),
        _smallint("priority", nullable=False, server_default=sa.text("0")),
        *_identity(),
        _bytes("unique_hash"),
        _plain("concurrency_key"),
        _json("args", nullable=False),
        *_job_checks("outbox"),
        sa.CheckConstraint("lane IN (0, 1)", name="outbox_lane_known"),
        sa.CheckConstraint("delay BETWEEN interval '0' AND interval '3650 days'", name="outbox_delay_sane"),
        sa.CheckConstraint("max_age BETWEEN interval '1 second' AND interval '3650 days'", name="outbox_max_age_sane"),
        sa.CheckConstraint("priority BETWEEN 0 AND 3", name="outbox_priority_known"),
        sa.CheckConstraint("payload_version > 0", name="outbox_payload_version_positive"),
        sa.CheckConstraint("length(unique_hash) <= 64", name="outbox_unique_hash_length"),
        sa.CheckConstraint("length(concurrency_key) <= 200", name="outbox_concurrency_key_length"),
    )


def _jobs(tables: sa.MetaData) -> None:
    zero = sa.text("0")
    jobs = sa.Table(
        "jobs",
        tables,
        _bigint("id", primary_key=True, autoincrement=False),
        _time("enqueued_at", nullable=False),
        _time("expires_at"),
        _time("run_at"),
        _bigint("position"),
        _time("claimed_at"),
        _time("lease_until"),
        _uuid("claimed_by"),
        _integer("claims", nullable=False, server_default=zero),
        _smallint("attempt", nullable=False, server_default=zero),
        _smallint("crashes", nullable=False, server_default=zero),
        _smallint("refusals", nullable=False, server_default=zero),
        _smallint("max_attempts"),
        _integer("payload_version", nullable=False, server_default=sa.text("1")),
        _smallint("lane", nullable=False, server_default=zero),
        _boolean("front", nullable=False, server_default=sa.false()),
        _boolean("cancel_requested", nullable=False, server_default=sa.false()),
        *_identity(),
        _plain("hold"),
        _text("doomed"),
        _bytes("unique_hash"),
        _plain("concurrency_key"),
        _json("args", nullable=False),
        _json("errors", nullable=False, server_default=sa.text("'[]'")),
        *_job_checks("jobs"),
        sa.CheckConstraint("lane BETWEEN 0 AND 3", name="jobs_lane_known"),
        sa.CheckConstraint("hold IS NULL OR (position IS NULL AND run_at IS NULL)", name="jobs_held_stand_nowhere"),
        sa.CheckConstraint(
            "claimed_by IS NULL OR (position IS NOT NULL AND lease_until IS NOT NULL AND claimed_at IS NOT NULL)",
            name="jobs_running_have_position_and_lease",
        ),
        sa.CheckConstraint("position IS NOT NULL OR run_at IS NOT NULL OR hold IS NOT NULL", name="jobs_have_a_place"),
        postgresql_with={"fillfactor": 45},
    )
    column = jobs.c
    sa.Index("jobs_ready", column.queue, column.lane, column.position, postgresql_where=column.position.is_not(None))
    sa.Index("jobs_waiting", column.run_at, postgresql_where=column.run_at.is_not(None) & column.position.is_(None))
    sa.Index("jobs_held", column.hold, column.id, postgresql_where=column.hold.is_not(None))
    sa.Index("jobs_unique", column.unique_hash, postgresql_where=column.unique_hash.is_not(None), unique=True)


def _pins(tables: sa.MetaData, clock: sa.TextClause) -> None:
    sa.Table(
        "pins",
        tables,
        _bigint("job_id", primary_key=True, autoincrement=False),
        _bigint("position", nullable=False),
        _time("pinned_at", nullable=False, server_default=clock),
    )


def _dead_jobs(tables: sa.MetaData, clock: sa.TextClause) -> None:
    dead = sa.Table(
        "dead_jobs",
        tables,
        _bigint("id", primary_key=True, autoincrement=False),
        _time("died_at", nullable=False, server_default=clock),
        _text("reason", nullable=False),
        _text("error"),
        _text("error_type"),
        _plain("fingerprint"),
        *_identity(),
        _integer("payload_version", nullable=False),
        _json("args", nullable=False),
        _json("errors", nullable=False, server_default=sa.text("'[]'")),
        _smallint("attempt", nullable=False),
        _smallint("max_attempts"),
        _smallint("crashes", nullable=False),
        _integer("claims", nullable=False),
        _smallint("lane", nullable=False, server_default=sa.text("0")),
        _time("enqueued_at", nullable=False),
        _time("run_at"),
        _time("started_at"),
        _uuid("worker_id"),
        _bytes("unique_hash"),
        _plain("concurrency_key"),
        _time("requeued_at"),
        _text("requeued_by"),
        sa.CheckConstraint(
            "reason IN ('attempts', 'crashed', 'expired', 'dead', 'invalid', 'unmovable')",
            name="dead_jobs_reason_known",
        ),
    )
    column = dead.c
    sa.Index("dead_jobs_by_time", column.died_at)
    sa.Index("dead_jobs_by_kind", column.kind, column.died_at)
    sa.Index("dead_jobs_by_organization", column.organization_id, column.died_at)
    sa.Index("dead_jobs_by_fingerprint", column.fingerprint)


def _finished_jobs(tables: sa.MetaData) -> None:
    sa.Table(
        "finished_jobs",
        tables,
        _bigint("id", primary_key=True, autoincrement=False),
        _time("keep_until", primary_key=True),
        _time("finished_at", nullable=False),
        _text("state", nullable=False),
        _text("reason"),
        *_identity(),
        _integer("payload_version", nullable=False),
        _smallint("attempt", nullable=False),
        _smallint("max_attempts"),
        _smallint("crashes", nullable=False),
        _integer("claims", nullable=False),
        _time("enqueued_at", nullable=False),
        _time("run_at"),
        _time("started_at"),
        _uuid("worker_id"),
        _json("args", nullable=False),
        _json("errors", nullable=False),
        sa.CheckConstraint("state IN ('completed', 'cancelled', 'discarded')", name="finished_jobs_state_known"),
        postgresql_partition_by="RANGE (keep_until)",
    )
