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


def job_checks(table: str, limits: str) -> Iterator[sa.CheckConstraint]:
    """What outbox and jobs both demand, so that a row of the one always fits the other; ``limits``: each its own."""
    yield sa.CheckConstraint(limits, name=f"{table}_limits_{'few' if table == 'jobs' else 'readable'}")
    for name, rule in {
        "queue_plain": "queue ~ '^[a-z0-9]' AND queue !~ '[^a-z0-9_.:-]' AND length(queue) <= 63",
        "kind_length": "length(kind) BETWEEN 1 AND 200",
        "organization_length": "length(organization_id) BETWEEN 1 AND 64",
        "user_length": "length(user_id) BETWEEN 1 AND 64",
        "args_object": "jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608",
        "enqueued_at_sane": "enqueued_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "run_at_sane": "run_at BETWEEN '2000-01-01 00:00Z' AND '9999-01-01 00:00Z'",
        "max_attempts_bounded": "max_attempts BETWEEN 1 AND 100",
        "cost_positive": "cost BETWEEN 1 AND 1000",
    }.items():
        yield sa.CheckConstraint(rule, name=f"{table}_{name}")
