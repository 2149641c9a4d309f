"""The queue's migrations: up, down, up; two at once; as a script; under another name."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest

from pgqueue import migrate
from pgqueue.errors import PgqueueError
from pgqueue.sql import in_schema
from tests.sql.client import Connection, advance_clock, column

SHAPE = """
SELECT 'column', c.relname::text, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
       || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = %(schema)s::text::regnamespace AND c.relkind IN ('r', 'p', 'v')
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE connamespace = %(schema)s::text::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s::text
UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = %(schema)s::text::regnamespace
UNION ALL SELECT 'sequence', sequencename, concat_ws(' ', min_value, start_value, increment_by, cache_size)
  FROM pg_sequences WHERE schemaname = %(schema)s::text
UNION ALL SELECT 'table', relname, relkind::text || ' ' || coalesce(reloptions::text, '') FROM pg_class
  WHERE relnamespace = %(schema)s::text::regnamespace
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger
  WHERE tgrelid = (%(schema)s::text || '.outbox')::regclass
ORDER BY 1, 2, 3
"""


def shape(url: str, schema: str = "pgqueue") -> list[tuple[Any, ...]]:
    """What the schema consists of. Days of finished jobs have no date here: a run may cross midnight."""
    with psycopg.connect(url) as conn:
        found = conn.execute(SHAPE, {"schema": schema}).fetchall()
    return sorted(tuple(re.sub(r"(finished_jobs_)\d{8}", r"\1DAY", part) for part in row) for row in found)


def left_of(url: str, schema: str = "pgqueue") -> list[str]:
    with psycopg.connect(url) as conn:
        return [
            *column(conn, "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(%s)", schema),
            *column(conn, "SELECT proname::text FROM pg_proc WHERE pronamespace = to_regnamespace(%s)", schema),
        ]


def test_up_down_up_gives_the_same_schema(empty_database_url: str) -> None:
    assert migrate.pending(empty_database_url) == ["pgqueue_0001", "pgqueue_0002"]
    migrate.upgrade(empty_database_url)
    first = shape(empty_database_url)
    assert migrate.pending(empty_database_url) == []
    migrate.downgrade(empty_database_url)
    assert [name for name in left_of(empty_database_url) if not name.startswith("alembic_version")] == []
    migrate.upgrade(empty_database_url)
    assert shape(empty_database_url) == first


def test_the_shape_of_tomorrow_is_that_of_today(database_url: str, conn: Connection) -> None:
    today = shape(database_url)
    assert sum(row[:2] == ("table", "finished_jobs_DAY") for row in today) == 10
    advance_clock(conn, timedelta(days=1))
    conn.execute("SELECT pgqueue.make_days(9), pgqueue.drop_days()")
    assert [row for row in shape(database_url) if row[1] != "clock"] == [row for row in today if row[1] != "clock"]


def test_a_second_upgrade_finds_nothing_to_do(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    first = shape(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert shape(empty_database_url) == first


def test_down_takes_queues_and_jobs_with_it(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as conn:
        run_one_job(conn, "pgqueue")
        conn.execute("SELECT pgqueue.add_queue('default', 2::smallint)")
    migrate.downgrade(empty_database_url)
    assert [name for name in left_of(empty_database_url) if not name.startswith("alembic_version")] == []


def test_two_migrators_at_once_make_one_schema(empty_database_url: str) -> None:
    errors: list[Exception] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(empty_database_url)
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            errors.append(error)

    migrators = [threading.Thread(target=upgrade) for _ in range(3)]
    for migrator in migrators:
        migrator.start()
    for migrator in migrators:
        migrator.join()
    assert errors == []
    assert migrate.pending(empty_database_url) == []


def test_the_script_gives_the_same_schema(empty_database_url: str, database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute(cast("Any", migrate.script()))  # it brings its own BEGIN and COMMIT, as for psql
    assert shape(empty_database_url) == shape(database_url)
    assert migrate.pending(empty_database_url) == []


def test_the_script_waits_for_no_lock_for_long() -> None:
    script = migrate.script()
    assert script.index("lock_timeout = '3s'") < script.index("CREATE SEQUENCE")


def test_another_schema_name_works_from_end_to_end(empty_database_url: str, database_url: str) -> None:
    migrate.upgrade(empty_database_url, "jobs_x")
    assert "pgqueue" not in {row[0] for row in namespaces(empty_database_url)}
    with psycopg.connect(empty_database_url) as conn:
        assert run_one_job(conn, "jobs_x") == [("K", 1)]
    renamed = [
        tuple(re.sub(r'"?jobs_x"?\.', "pgqueue.", text) for text in row) for row in shape(empty_database_url, "jobs_x")
    ]
    ours = [tuple(re.sub(r'"pgqueue"\.', "pgqueue.", text) for text in row) for row in shape(database_url)]
    grown = {"head_1_0", "mark_1_0"}  # the sequences of the queue that ran
    assert [row for row in renamed if row[1] not in grown] == ours


def namespaces(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as conn:
        return cast("list[tuple[str]]", conn.execute("SELECT nspname FROM pg_namespace").fetchall())


def run_one_job(conn: Connection, schema: str) -> list[tuple[Any, ...]]:
    """Enqueue, relay, claim, settle: the first three each in a transaction of its own, as they must."""

    def call(text: str) -> list[tuple[Any, ...]]:
        found = conn.execute(in_schema(text, schema)).fetchall()
        conn.commit()
        return found

    call("SELECT pgqueue.enqueue('K', '{}', 'org', 'user')")
    call("SELECT pgqueue.relay(NULL, 100, '3 s')")
    claimed = call("SELECT id, kind, claims FROM pgqueue.claim(gen_random_uuid(), ARRAY['default'], ARRAY[10], '30 s')")
    job = claimed[0][0]
    assert call(f"SELECT pgqueue.settle(ARRAY[{job}], ARRAY[1], ARRAY['complete'], ARRAY[0.0], ARRAY[NULL])") == []
    return [row[1:] for row in claimed]


@pytest.mark.parametrize("name", ["Jobs", "jobs-x", "1jobs", "j" * 42, 'a"b'])
def test_a_schema_name_that_needs_quoting_is_refused(name: str) -> None:
    with pytest.raises(PgqueueError, match="schema name"):
        migrate.script(name)


def test_a_step_that_meets_a_lock_gives_up_and_changes_nothing(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    before = shape(empty_database_url)
    with psycopg.connect(empty_database_url) as somebody:
        somebody.execute("SELECT count(*) FROM pgqueue.jobs")
        with pytest.raises(PgqueueError, match=r"nothing was changed.*lock timeout"):
            migrate.downgrade(empty_database_url)
    assert shape(empty_database_url) == before
