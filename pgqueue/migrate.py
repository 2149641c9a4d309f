"""`pgqueue migrate`: bring the queue's own tables to the version of this package, or say what would be done."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, OperationalError

from pgqueue import migrations
from pgqueue.db import sqlalchemy_url
from pgqueue.errors import DatabaseUnavailable, PgqueueError

if TYPE_CHECKING:
    from collections.abc import Callable

# Any number that nobody else takes: two migrators of one schema wait for each other, the second finds nothing to do.
_MIGRATING = "SELECT pg_advisory_xact_lock(hashtextextended('pgqueue migrate ' || :schema, 0))"


def upgrade(url: str, schema: str = "pgqueue") -> None:
    """Create or upgrade the queue's tables. Two processes may call this at once.

    Where the application's own Alembic made the tables there is nothing to do here, or it is that Alembic's turn.
    """

    def up(config: Config) -> None:
        connection = config.attributes["connection"]
        version = _managed_elsewhere(connection, schema)
        if version is None:
            command.upgrade(config, "pgqueue@head")
        elif version < migrations.VERSION:
            raise PgqueueError(
                "the application's own Alembic made these tables: upgrade them with: alembic upgrade heads"
            )

    _online(url, schema, up)


def downgrade(url: str, schema: str = "pgqueue") -> None:
    """Drop the queue's tables with everything in them."""
    _online(url, schema, lambda config: command.downgrade(config, "pgqueue@base"))


def pending(url: str, schema: str = "pgqueue") -> list[str]:
    """Return the revisions that are not applied yet, oldest first (empty: up to date)."""
    script = ScriptDirectory.from_config(_config(schema))
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            elsewhere = _managed_elsewhere(connection, schema)
            current = _heads(connection, schema)
    except OperationalError as error:
        raise DatabaseUnavailable(_unreachable(error)) from error
    finally:
        engine.dispose()
    done = {revision.revision for head in current for revision in script.iterate_revisions(head, "base")}
    every = [revision.revision for revision in script.walk_revisions()][::-1]
    if elsewhere is not None:  # revision n stamps version n
        return every[elsewhere:]
    return [revision for revision in every if revision not in done]


def script(schema: str = "pgqueue") -> str:
    """Return the SQL that an empty database would be given, for people who apply it themselves."""
    out = StringIO()
    config = _config(schema)
    config.output_buffer = out
    command.upgrade(config, "pgqueue@head", sql=True)
    return out.getvalue()


def _heads(connection: sa.Connection, schema: str) -> tuple[str, ...]:
    return MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_heads()


def _managed_elsewhere(connection: sa.Connection, schema: str) -> int | None:
    """Return the stamped version of tables that another Alembic made: stamped, but with no version in their schema."""
    if _heads(connection, schema) or not sa.inspect(connection).has_table("stamp", schema=schema):
        return None
    found: int | None = connection.scalar(sa.select(sa.column("version")).select_from(sa.table("stamp", schema=schema)))
    return found


def _config(schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("version_locations", migrations.version_location())
    config.set_main_option("path_separator", "newline")
    config.set_main_option("pgqueue_schema", schema)
    return config


def _online(url: str, schema: str, work: Callable[[Config], None]) -> None:
    config = _config(schema)
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(sa.text(_MIGRATING), {"schema": schema})
            connection.execute(sa.text("SET LOCAL lock_timeout = '3s'"))
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
            config.attributes["connection"] = connection
            work(config)
    except OperationalError as error:
        if error.connection_invalidated or "connection" in str(error.orig):
            raise DatabaseUnavailable(_unreachable(error)) from error
        raise PgqueueError(f"the migration was not applied, nothing was changed: {error.orig}; try again") from error
    except DBAPIError as error:
        raise PgqueueError(f"the migration was not applied, nothing was changed: {error.orig}") from error
    finally:
        engine.dispose()


def _unreachable(error: OperationalError) -> str:
    return f"cannot reach the database: {str(error.orig).strip()}; check PGQUEUE_DATABASE_URL and that the server runs"
