"""Alembic's environment for both branches: `pgqueue` (packaged with the queue) and `domain`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from alembic import context
from sqlalchemy import Connection, create_engine, make_url, pool

from domain.models import SCHEMA, Base
from pgqueue.migrations import include_object

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def _url() -> str:
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("PGQUEUE_DATABASE_URL")
    if not url:
        raise SystemExit("no database: set PGQUEUE_DATABASE_URL=postgresql://user@host/database")
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _ours(name: str | None, kind: str, _parents: MutableMapping[Any, str | None]) -> bool:
    """Look at the domain's schema alone when models and tables are compared."""
    return kind != "schema" or name == SCHEMA


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        include_name=_ours,
        include_object=include_object,
        compare_server_default=True,
        # each step commits: a long one does not keep the locks of those before it
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _online() -> None:
    given = context.config.attributes.get("connection")
    if isinstance(given, Connection):
        _run(given)
        return
    engine = create_engine(_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        _run(connection)
    engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    _online()
