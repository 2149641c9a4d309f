"""The described tables and the migrated tables are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from pgqueue import schema
from pgqueue.migrate import upgrade

if TYPE_CHECKING:
    from psycopg import Connection


def _differences(engine: sa.Engine, name: str = "pgqueue") -> list[Any]:
    options = {
        "version_table_schema": name,
        "include_schemas": True,
        "include_name": lambda found, kind, parents: (
            found == name if kind == "schema" else schema.include_name(found, kind, parents)
        ),
        "compare_type": True,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, schema.metadata(name)))


def test_autogenerate_finds_no_difference_between_models_and_migrated_schema(engine: sa.Engine) -> None:
    assert _differences(engine) == []


def test_autogenerate_finds_no_difference_in_a_schema_of_another_name(empty_database_url: str) -> None:
    upgrade(empty_database_url, "jobs_of_mine")
    engine = sa.create_engine(sa.make_url(empty_database_url).set(drivername="postgresql+psycopg"))
    try:
        assert _differences(engine, "jobs_of_mine") == []
    finally:
        engine.dispose()


@pytest.mark.own_database
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE pgqueue.jobs ADD COLUMN extra text",
        "ALTER TABLE pgqueue.jobs ALTER COLUMN doomed SET NOT NULL",
        "ALTER TABLE pgqueue.workers ALTER COLUMN host TYPE varchar(10)",
        "DROP INDEX pgqueue.jobs_held",
        "ALTER TABLE pgqueue.workers ALTER COLUMN running SET DEFAULT 1",
    ],
)
def test_a_changed_table_is_a_difference(conn: Connection[tuple[Any, ...]], engine: sa.Engine, change: str) -> None:
    conn.execute(change)
    assert _differences(engine) != []


def test_the_described_checks_are_those_of_the_database(conn: Connection[tuple[Any, ...]]) -> None:
    in_database = {
        (str(row[0]), str(row[1]))
        for row in conn.execute(
            """SELECT c.conrelid::regclass, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
               WHERE c.contype = 'c' AND c.connamespace = 'pgqueue'::regnamespace AND NOT t.relispartition"""
        )
    }
    described = {
        (f"pgqueue.{table.name}", str(check.name))
        for table in schema.metadata().tables.values()
        for check in table.constraints
        if isinstance(check, sa.CheckConstraint)
    }
    assert described == in_database
