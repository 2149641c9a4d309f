"""What every revision does in the same way: short locks, literal SQL, the functions and views of the chapters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import context, op

from pgqueue.sql import in_schema, load

if TYPE_CHECKING:
    from pathlib import Path

# Long enough for a busy table, short enough that nobody queues behind a migration that waits.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"
_DROP_FUNCTIONS = """
DO $drop$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = '__SCHEMA__'
                AND p.proname NOT IN ('clock', 'limits_readable') AND p.prorettype <> 'trigger'::regtype LOOP
    EXECUTE format('DROP FUNCTION %s', item.name);
  END LOOP;
END
$drop$
"""


def schema_name() -> str:
    """Return the schema that is being migrated."""
    return context.config.get_main_option("pgqueue_schema") or "pgqueue"


def quoted_name() -> str:
    """Return the schema's name as SQL spells it."""
    return in_schema("pgqueue.", schema_name()).rstrip(".")


def execute(text: str) -> None:
    """Send SQL that spells the schema ``pgqueue.``, literally: a colon in it is no bind parameter."""
    op.execute(_LOCK_TIMEOUT)
    op.execute(sa.text(re.sub(r"(?<!:):(?=\w)", r"\\:", in_schema(text, schema_name()))))


def run_file(path: Path) -> None:
    """Send a file of SQL."""
    execute(path.read_text("utf-8"))


def install_functions(*names: str) -> None:
    """Install stored functions (none named: all, and only these) as the chapters spell them now.

    Nobody but the owner may call them unless told so.
    """
    functions = load(schema_name()).functions
    if not names:
        execute(_DROP_FUNCTIONS.replace("__SCHEMA__", schema_name()))  # OR REPLACE would keep other parameters beside
    execute("SET LOCAL check_function_bodies = off")  # functions may call each other in any order
    for name in names or functions:
        execute(functions[name])
    execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA __SCHEMA__ FROM PUBLIC".replace("__SCHEMA__", quoted_name()))


def install_views() -> None:
    """Install every view as the chapters spell it now (a view whose columns changed has to be dropped before)."""
    for view in load(schema_name()).views.values():
        execute(view)
