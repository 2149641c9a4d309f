"""Outboxes in other databases, and the ledger of what was carried from them."""

from __future__ import annotations

import sqlalchemy as sa

from pgqueue.schema.columns import plain, time


def sources(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Which databases are carried here, and what stands on both sides at this moment."""
    sa.Table(
        "sources",
        tables,
        plain("name", primary_key=True),
        sa.Column("number", sa.SmallInteger, sa.Identity(always=True), nullable=False),
        time("added_at", nullable=False, server_default=clock),
        sa.CheckConstraint("name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'", name="sources_name_plain"),
        sa.CheckConstraint("number BETWEEN 1 AND 511", name="sources_number_bounded"),
        sa.UniqueConstraint("number", name="sources_number_free"),
    )
    sa.Table(
        "carried",
        tables,
        sa.Column("source", sa.SmallInteger, sa.ForeignKey("sources.number"), primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
