"""Every block of the chapters against the migrated schema: it parses, it plans, it is what the database has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import psycopg
import pytest

from pgqueue.sql import load
from tests.conftest import with_dbname
from tests.sql.client import Connection, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CHAPTERS = load()
# What the client declares (timedelta), where PostgreSQL could not know it.
INTERVALS = {"age", "ahead", "grace", "keep", "lease", "silent", "stale", "term", "ttl"}
# Nothing that PREPARE takes; the tests of the testing kit send them.
MADE = {"testing_clock", "testing_database_clock"}
COPIES = [name for name, text in CHAPTERS.statements.items() if "\nCOPY " in f"\n{text}"]


@pytest.fixture(scope="module")
def migrated(server: str, template: str) -> Iterator[Connection]:
    """The template itself: nothing here changes it."""
    with psycopg.connect(with_dbname(server, template)) as connection:
        yield connection
        connection.rollback()


def numbered(text: str) -> tuple[str, list[str]]:
    """Named parameters become $1, $2, …; and their types, as far as PostgreSQL cannot know them."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", text)
    return text.replace("%%", "%"), ["interval" if name in INTERVALS else "unknown" for name in names]


@pytest.mark.parametrize("name", [name for name in CHAPTERS.statements if name not in {*COPIES, *MADE}])
def test_a_statement_plans_against_the_schema(migrated: Connection, name: str) -> None:
    text, types = numbered(CHAPTERS.statements[name])
    declared = f"({', '.join(types)})" if types else ""
    with migrated.transaction(force_rollback=True):
        migrated.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        migrated.execute(cast("Any", f"PREPARE block{declared} AS {text}"))
        arguments = f"({', '.join('NULL' for _ in types)})" if types else ""
        plan = migrated.execute(cast("Any", f"EXPLAIN EXECUTE block{arguments}")).fetchall()
        migrated.execute("DEALLOCATE block")
    assert plan


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_names_columns_that_exist(migrated: Connection, name: str) -> None:
    with migrated.transaction(force_rollback=True), migrated.cursor() as cursor:
        with cursor.copy(cast("Any", CHAPTERS.statements[name])):
            pass
        assert cursor.rowcount == 0


@pytest.mark.parametrize("name", CHAPTERS.functions)
def test_a_function_compiles_and_is_the_one_installed(migrated: Connection, name: str) -> None:
    text = CHAPTERS.functions[name]
    body = re.search(r"AS \$\$(.*)\$\$\s*$", text, re.DOTALL)
    assert body
    query = "SELECT array_agg(prosrc) FROM pg_proc WHERE pronamespace = 'pgqueue'::regnamespace AND proname = %s"
    assert scalar(migrated, query, name) == [body[1]]
    with migrated.transaction(force_rollback=True):
        migrated.execute("SET LOCAL check_function_bodies = on")
        migrated.execute(cast("Any", text))


def test_no_function_is_installed_that_the_chapters_do_not_have(migrated: Connection) -> None:
    query = "SELECT array_agg(proname::text) FROM pg_proc WHERE pronamespace = 'pgqueue'::regnamespace"
    assert set(scalar(migrated, query)) == {
        *CHAPTERS.functions,
        "clock",
        "outbox_takes_xid",
        "actions_stay",
        "limits_readable",
    }


def test_every_function_is_safe_from_the_callers_search_path_and_settings(migrated: Connection) -> None:
    query = """SELECT array_agg(proname::text) FROM pg_proc
               WHERE pronamespace = 'pgqueue'::regnamespace AND proname <> 'clock'
                 AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"""
    assert scalar(migrated, query) is None


def test_no_plan_with_a_switched_off_node_is_compiled(migrated: Connection) -> None:
    """Until PostgreSQL 17 such a node costs so much that LLVM would be asked at each call."""
    query = """SELECT array_agg(proname::text) FROM pg_proc
               WHERE 'enable_seqscan=off' = ANY (proconfig) AND NOT 'jit=off' = ANY (proconfig)"""
    assert scalar(migrated, query) is None


@pytest.mark.parametrize("name", CHAPTERS.views)
def test_a_view_can_be_read(migrated: Connection, name: str) -> None:
    migrated.execute(cast("Any", f"SELECT * FROM pgqueue.{name} LIMIT 1"))


@pytest.mark.parametrize("function", ["claim", "relay", "settle", "cancel", "enqueue"])
def test_nobody_may_call_a_function_unless_granted(migrated: Connection, function: str) -> None:
    query = """SELECT bool_or(has_function_privilege('public', oid, 'EXECUTE')) FROM pg_proc
               WHERE pronamespace = 'pgqueue'::regnamespace AND proname = %s"""
    assert scalar(migrated, query, function) is False
