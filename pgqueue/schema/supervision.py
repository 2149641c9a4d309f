"""The table of run-time overrides that hold for every host."""

from __future__ import annotations

import sqlalchemy as sa

from pgqueue.schema.columns import integer, text, time


def overrides(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """What people set while workers run."""
    sa.Table(
        "overrides",
        tables,
        text("name", primary_key=True),
        integer("value", nullable=False),
        text("set_by", nullable=False),
        time("set_at", nullable=False, server_default=clock),
        sa.CheckConstraint("name IN ('processes')", name="overrides_name_known"),
        sa.CheckConstraint("value > 0", name="overrides_value_positive"),
    )
