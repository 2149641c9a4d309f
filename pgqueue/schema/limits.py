"""The tables of limits and fairness."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pgqueue.schema.columns import bigint, integer, plain, smallint, text, time

_VACUUMED = {"autovacuum_vacuum_scale_factor": 0.0, "autovacuum_vacuum_threshold": 2000}


def limits(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Limits that were set at run time, the permits that jobs hold, and those they have let go."""
    sa.Table(
        "limits",
        tables,
        plain("name", primary_key=True),
        integer("running"),
        text("rate"),
        time("set_at", nullable=False, server_default=clock),
        text("set_by"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 300", name="limits_name_length"),
        sa.CheckConstraint("running > 0", name="limits_running_positive"),
        sa.CheckConstraint("rate ~ '^[1-9][0-9]{0,8}/[1-9][0-9]{0,15}/[1-9][0-9]{0,8}$'", name="limits_rate_plain"),
        sa.CheckConstraint(
            "num_nonnulls(running, rate) = 1 AND starts_with(name, 'rate:') = (rate IS NOT NULL)",
            name="limits_say_one_thing",
        ),
    )
    sa.Table(
        "permits",
        tables,
        plain("key", primary_key=True),
        bigint("block", primary_key=True, autoincrement=False),
        sa.Column("numbers", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("jobs", ARRAY(sa.BigInteger), nullable=False),
        postgresql_with={"fillfactor": 70} | _VACUUMED,
    )
    ids = sa.Sequence("freed_ids", metadata=tables, cache=1)
    sa.Table(
        "freed",
        tables,
        bigint("id", ids, primary_key=True, server_default=ids.next_value()),
        sa.Column("permits", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("limits", ARRAY(sa.Text), nullable=False),
        postgresql_with=_VACUUMED | {"toast_tuple_target": 8160},
    )


def rates(tables: sa.MetaData) -> None:
    """How far each rate is used up, and which of them jobs wait for."""
    sa.Table(
        "rates",
        tables,
        plain("key", primary_key=True),
        text("spec", nullable=False),
        time("paid_at", nullable=False),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 400", name="rates_key_length"),
        postgresql_with={"fillfactor": 50},
    )
    waits = sa.Table(
        "rate_waits",
        tables,
        plain("key", primary_key=True),
        text("spec", nullable=False),
        time("due_at", nullable=False),
    )
    sa.Index("rate_waits_by_time", waits.c.due_at)


def fairness(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """How far each organization is ahead of its share, and what its share is."""
    sa.Table(
        "shares",
        tables,
        plain("queue", primary_key=True),
        smallint("lane", primary_key=True, autoincrement=False),
        plain("organization_id", primary_key=True),
        bigint("finish", primary_key=True, autoincrement=False),
        prefixes=["UNLOGGED"],
        postgresql_with={"autovacuum_vacuum_scale_factor": 0.0, "autovacuum_vacuum_threshold": 10_000},
    )
    sa.Table(
        "weights",
        tables,
        plain("organization_id", primary_key=True),
        integer("weight", nullable=False),
        time("set_at", nullable=False, server_default=clock),
        text("set_by"),
        sa.CheckConstraint("length(organization_id) BETWEEN 1 AND 64", name="weights_organization_length"),
        sa.CheckConstraint("weight BETWEEN 1 AND 1000", name="weights_weight_bounded"),
    )
