"""Alembic environment of `pgqueue migrate`: the queue's branch alone, its version kept in the queue's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from alembic import context

if TYPE_CHECKING:
    from sqlalchemy import Connection

config = context.config
schema = config.get_main_option("pgqueue_schema") or "pgqueue"

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        # "pyformat" would write every % of a function body twice into the script
        dialect_opts={"paramstyle": "named"},
        version_table_schema=schema,
        literal_binds=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        context.run_migrations()
else:
    context.configure(
        connection=cast("Connection", config.attributes["connection"]),
        version_table_schema=schema,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
