"""Columns as the queue's tables use them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

if TYPE_CHECKING:
    from collections.abc import Iterator

bigint = partial(sa.Column, type_=sa.BigInteger)
integer = partial(sa.Column, type_=sa.Integer)
smallint = partial(sa.Column, type_=sa.SmallInteger)
boolean = partial(sa.Column, type_=sa.Boolean)
uuid = partial(sa.Column, type_=sa.Uuid)
text = partial(sa.Column, type_=sa.Text)
binary = partial(sa.Column, type_=BYTEA)
json = partial(sa.Column, type_=JSONB)
time = partial(sa.Column, type_=sa.DateTime(timezone=True))
interval = partial(sa.Column, type_=sa.Interval)


_RATE_SPEC = "^[1-9][0-9]{0,8}/[1-9][0-9]{0,15}/[1-9][0-9]{0,8}/[1-9][0-9]{0,8} rate:."


def plain(name: str, **more: Any) -> sa.Column[Any]:
    """Text that is compared byte by byte, whatever the database's language."""
    return sa.Column(name, sa.Text(collation="C"), **more)


def identity() -> Iterator[sa.Column[Any]]:
    """Whose job it is, and which."""
    yield uuid("correlation_id", nullable=False)
    yield uuid("trace_id", nullable=False)
    yield plain("queue", nullable=False)
    yield plain("kind", nullable=False)
    yield plain("organization_id", nullable=False)
    yield plain("user_id", nullable=False)


def job_checks(table: str) -> Iterator[sa.CheckConstraint]:
    """What outbox and jobs both demand, so that a row of the one always fits the other."""
    for name, rule in {
        "queue_plain": "queue ~ '^[a-z0-9]' AND queue !~ '[^a-z0-9_.:-]' AND length(queue) <= 63",
        "kind_length": "length(kind) BETWEEN 1 AND 200",
        "organization_length": "length(organization_id) BETWEEN 1 AND 64",
        "user_length": "length(user_id) BETWEEN 1 AND 64",
        "args_object": "jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608",
        "enqueued_at_sane": "enqueued_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "run_at_sane": "run_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "max_attempts_bounded": "max_attempts BETWEEN 1 AND 100",
        "limits_few": f"cardinality(limits) BETWEEN 1 AND {3 if table == 'outbox' else 5}",
        "cost_positive": "cost BETWEEN 1 AND 1000",
    }.items():
        yield sa.CheckConstraint(rule, name=f"{table}_{name}")
    if table == "outbox":
        yield from _limits_checks()


def _limits_checks() -> Iterator[sa.CheckConstraint]:
    """Limits that the relay can read; not asked of jobs, which only the relay writes and every claim updates.

    Each element by itself, and the common form by a pattern of few states: one pattern for all forms cost 7 us a job.
    """
    one_row = "array_ndims(limits) = 1 AND array_lower(limits, 1) = 1 AND array_position(limits, NULL) IS NULL"
    yield sa.CheckConstraint(one_row, name="outbox_limits_listed")
    readable = " AND ".join(
        f"CASE WHEN strpos({limit}, ' rate:') = strpos({limit}, ' ') THEN {limit} ~ '{_RATE_SPEC}' "
        f"ELSE {limit} ~ '^[0-9]+ .' AND strpos({limit}, ' ') <= 10 END"
        for limit in ("limits[1]", "limits[2]", "limits[3]")
    )
    yield sa.CheckConstraint(readable, name="outbox_limits_plain")
    short = " AND ".join(f"length(limits[{place}]) <= 400" for place in (1, 2, 3))
    yield sa.CheckConstraint(short, name="outbox_limits_short")
