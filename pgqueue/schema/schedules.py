"""What recurs, and the ledger of the ticks that became jobs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pgqueue.schema.columns import bigint, integer, interval, json, plain, smallint, text, time

_CHECKS = {
    "name_plain": "name ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'",
    "cron_or_every": "(cron IS NULL) <> (every IS NULL)",
    "every_sane": "every BETWEEN interval '1 second' AND interval '3650 days'",
    "missed_known": "missed IN ('skip', 'once', 'all')",
    "most_bounded": "most BETWEEN 1 AND 1000",
    "jitter_sane": "jitter BETWEEN interval '0' AND interval '1 day'",
    "source_known": "source IN ('code', 'added')",
    "code_is_listed": "source = 'added' OR (definition IS NOT NULL AND listed_at IS NOT NULL AND held_at IS NOT NULL)",
    "queue_plain": "queue ~ '^[a-z0-9][a-z0-9_.:-]{0,62}$'",
    "kind_length": "length(kind) BETWEEN 1 AND 200",
    "organization_length": "length(organization_id) BETWEEN 1 AND 64",
    "user_length": "length(user_id) BETWEEN 1 AND 64",
    "args_object": "jsonb_typeof(args) = 'object' AND pg_column_size(args) <= 8388608",
    "options_object": "jsonb_typeof(options) = 'object'",
    "max_attempts_bounded": "max_attempts BETWEEN 1 AND 100",
    "payload_version_positive": "payload_version > 0",
}


def schedules(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Entries, from the code of workers or added at run time."""
    table = sa.Table(
        "schedules",
        tables,
        plain("name", primary_key=True),
        plain("kind", nullable=False),
        plain("queue", nullable=False),
        json("args", nullable=False, server_default=sa.text("'{}'")),
        text("cron"),
        text("time_zone", nullable=False, server_default="UTC"),
        time("next_run_at"),
        time("paused_at"),
        time("created_at", nullable=False, server_default=clock),
        interval("every"),
        integer("payload_version", nullable=False, server_default=sa.text("1")),
        smallint("max_attempts"),
        plain("organization_id", nullable=False),
        plain("user_id", nullable=False),
        json("options", nullable=False, server_default=sa.text("'{}'")),
        text("missed", nullable=False, server_default="once"),
        smallint("most", nullable=False, server_default=sa.text("100")),
        interval("jitter", nullable=False, server_default=sa.text("'00:00:00'")),
        text("source", nullable=False, server_default="added"),
        text("definition"),
        sa.Column("superseded", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        time("listed_at"),
        time("held_at"),
        time("changed_at", nullable=False, server_default=clock),
        text("paused_by"),
        bigint("missed_runs", nullable=False, server_default=sa.text("0")),
        time("missed_at"),
        *(sa.CheckConstraint(rule, name=f"schedules_{name}") for name, rule in _CHECKS.items()),
    )
    sa.Index("schedules_due", table.c.next_run_at, postgresql_where=sa.text("paused_at IS NULL"))


def schedule_runs(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """One row for each tick that became a job."""
    runs = sa.Table(
        "schedule_runs",
        tables,
        plain("schedule", primary_key=True),
        time("tick", primary_key=True),
        bigint("job_id", nullable=False),
        time("fired_at", nullable=False, server_default=clock),
        text("asked_by"),
        text("outcome"),
    )
    sa.Index("schedule_runs_by_time", runs.c.tick)
    sa.Index("schedule_runs_open", runs.c.job_id, postgresql_where=sa.text("outcome IS NULL"))
