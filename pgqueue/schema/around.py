"""What stands around the jobs: the stamp, queues and their marks, processes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, REGCLASS

from pgqueue.schema.columns import (
    boolean,
    integer,
    plain,
    smallint,
    text,
    time,
    uuid,
)


def queues(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Which schema it is, which queues there are."""
    sa.Table(
        "stamp",
        tables,
        integer("version", nullable=False),
        integer("least_worker", nullable=False),
        text("carried_as"),
        boolean("one", primary_key=True, server_default=sa.true()),
        sa.CheckConstraint("one", name="stamp_is_one_row"),
    )
    sa.Table("turns", tables, text("name", primary_key=True))
    sa.Table(
        "queues",
        tables,
        plain("name", primary_key=True),
        sa.Column("number", sa.Integer, sa.Identity(always=True), nullable=False),
        text("order", nullable=False, server_default="fifo"),
        text("order_set_by"),
        integer("workers"),
        time("paused_at"),
        text("paused_by"),
        time("created_at", nullable=False, server_default=clock),
        text("workers_by"),
        time("workers_at"),
        time("resume_at"),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'", name="queues_name_plain"),
        sa.CheckConstraint("\"order\" IN ('fifo', 'fair')", name="queues_order_known"),
        sa.CheckConstraint("workers > 0", name="queues_workers_positive"),
    )
    sa.Table(
        "marks",
        tables,
        sa.Column("queue", sa.Text(collation="C"), sa.ForeignKey("queues.name"), primary_key=True),
        smallint("lane", primary_key=True, autoincrement=False),
        sa.Column("head", REGCLASS, nullable=False),
        sa.Column("mark", REGCLASS, nullable=False),
    )


def processes(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Who works."""
    sa.Table(
        "workers",
        tables,
        uuid("id", primary_key=True),
        text("host", nullable=False),
        integer("pid", nullable=False),
        text("version", nullable=False),
        sa.Column("queues", ARRAY(sa.Text), nullable=False),
        sa.Column("kinds", ARRAY(sa.Text), nullable=False),
        integer("concurrency", nullable=False),
        integer("running", nullable=False, server_default=sa.text("0")),
        time("started_at", nullable=False, server_default=clock),
        time("heartbeat_at", nullable=False, server_default=clock),
        boolean("draining", nullable=False, server_default=sa.false()),
        text("asked"),
        text("asked_by"),
        time("asked_at"),
        sa.CheckConstraint("asked IN ('drain', 'restart')", name="workers_asked_known"),
        postgresql_with={"fillfactor": 50},
    )
