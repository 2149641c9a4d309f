"""The tables of revision 0002 that guard: what people did, circuit breakers, alerts."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from pgqueue.schema.columns import bigint, integer, json, plain, smallint, text, time, uuid

double = partial(sa.Column, type_=sa.Double)


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def actions(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """What people did."""
    table = sa.Table(
        "actions",
        tables,
        _identity(),
        time("done_at", nullable=False, server_default=clock),
        bigint("affected", nullable=False),
        text("done_by", nullable=False),
        plain("verb", nullable=False),
        text("target", nullable=False),
        text("reason", nullable=False, server_default=""),
        json("filter", nullable=False, server_default=sa.text("'{}'")),
        sa.CheckConstraint("affected >= 0", name="actions_affected_counted"),
        sa.CheckConstraint("length(done_by) <= 200", name="actions_done_by_length"),
        sa.CheckConstraint("verb ~ '^[a-z][a-z_]{0,39}$'", name="actions_verb_plain"),
        sa.CheckConstraint("length(target) <= 600", name="actions_target_length"),
    )
    sa.Index("actions_by_time", table.c.done_at)


def breakers(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Circuit breakers, one row for each dependency and host that ever failed."""
    table = sa.Table(
        "breakers",
        tables,
        plain("dependency", primary_key=True),
        plain("host", primary_key=True, server_default=""),
        text("state", nullable=False, server_default="closed"),
        integer("failures", nullable=False, server_default=sa.text("0")),
        time("opened_at"),
        time("open_until"),
        uuid("probe"),
        time("probe_until"),
        text("last_error"),
        time("changed_at", nullable=False, server_default=clock),
        text("changed_by", nullable=False, server_default=""),
        sa.CheckConstraint("length(dependency) BETWEEN 1 AND 200", name="breakers_dependency_length"),
        sa.CheckConstraint("length(host) <= 300", name="breakers_host_length"),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name="breakers_state_known"),
        sa.CheckConstraint("failures >= 0", name="breakers_failures_counted"),
        sa.CheckConstraint("(state = 'closed') = (opened_at IS NULL)", name="breakers_open_since"),
        sa.CheckConstraint(
            "(state = 'half_open') = (probe IS NOT NULL AND probe_until IS NOT NULL)",
            name="breakers_half_open_is_probed",
        ),
        postgresql_with={"fillfactor": 70},
    )
    unwell = sa.text("state <> 'closed' OR failures > 0")
    sa.Index("breakers_unwell", table.c.dependency, table.c.host, postgresql_where=unwell)


def alerts(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """What is raised, what has to be told, and the samples that failure rates are made of."""
    sa.Table(
        "alerts",
        tables,
        plain("rule", primary_key=True),
        plain("subject", primary_key=True),
        integer("version", nullable=False),
        smallint("streak", nullable=False),
        double("value", nullable=False),
        time("raised_at"),
        time("told_at"),
        time("sampled_at", nullable=False, server_default=clock),
        text("text", nullable=False, server_default=""),
        sa.CheckConstraint("streak >= 0", name="alerts_streak_counted"),
    )
    messages = sa.Table(
        "alert_messages",
        tables,
        _identity(),
        plain("key", nullable=False),
        plain("channel", nullable=False),
        text("event", nullable=False),
        plain("rule", nullable=False),
        plain("subject", nullable=False),
        double("value", nullable=False),
        text("text", nullable=False),
        time("raised_at", nullable=False),
        time("made_at", nullable=False, server_default=clock),
        smallint("tries", nullable=False, server_default=sa.text("0")),
        time("next_try_at", server_default=clock),
        time("sent_at"),
        text("error"),
        sa.UniqueConstraint("key", "channel"),
        sa.CheckConstraint("event IN ('raised', 'repeated', 'cleared')", name="alert_messages_event_known"),
    )
    to_send = sa.text("next_try_at IS NOT NULL")
    sa.Index("alert_messages_to_send", messages.c.next_try_at, postgresql_where=to_send)
    counts = sa.Table(
        "attempt_counts",
        tables,
        time("sampled_at", nullable=False, server_default=clock),
        plain("kind", nullable=False),
        integer("succeeded", nullable=False),
        integer("failed", nullable=False),
    )
    sa.Index("attempt_counts_by_time", counts.c.sampled_at)
