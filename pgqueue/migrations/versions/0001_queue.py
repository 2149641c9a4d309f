"""The queue's tables and functions.

Revision ID: pgqueue_0001
Revises:
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import context, op

from pgqueue.migrations import BRANCH
from pgqueue.sql import in_schema, load

revision = "pgqueue_0001"
down_revision = None
branch_labels = (BRANCH,)
depends_on = None

# Long enough for a busy table, short enough that nobody queues behind a migration that waits.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"


def _schema() -> str:
    return context.config.get_main_option("pgqueue_schema") or "pgqueue"


def _execute(text: str) -> None:
    """Send a script literally: a colon in it is no bind parameter."""
    op.execute(sa.text(re.sub(r"(?<!:):(?=\w)", r"\\:", text)))


def upgrade() -> None:
    """Create the schema with all tables, then the functions of the chapters, then the stamp."""
    schema = _schema()
    _execute(LOCK_TIMEOUT)
    op.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    _execute(in_schema(Path(__file__).with_name("0001_queue.sql").read_text("utf-8"), schema))
    _execute("SET LOCAL check_function_bodies = off")  # functions may call each other in any order
    for function in load(schema).functions.values():
        _execute(function)
    for view in load(schema).views.values():
        _execute(view)
    _execute(in_schema("SELECT pgqueue.make_days(9)", schema))
    _execute(in_schema("INSERT INTO pgqueue.stamp (version, least_worker) VALUES (1, 1)", schema))
    _execute(in_schema("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgqueue.", schema).rstrip(".") + " FROM PUBLIC")


def downgrade() -> None:
    """Drop everything that belongs to the queue; the schema itself may hold Alembic's version table."""
    schema = _schema()
    _execute(LOCK_TIMEOUT)
    _execute(in_schema(_DROP, schema).replace("__SCHEMA__", schema))


_DROP = """
DO $drop$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = '__SCHEMA__' AND c.relkind IN ('v') LOOP
    EXECUTE format('DROP VIEW IF EXISTS pgqueue.%I CASCADE', item.relname);
  END LOOP;
  FOR item IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = '__SCHEMA__' AND p.proname NOT IN ('clock', 'outbox_takes_xid') LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', item.name);
  END LOOP;
  DROP TABLE pgqueue.marks, pgqueue.queues, pgqueue.outbox, pgqueue.jobs, pgqueue.pins, pgqueue.dead_jobs,
    pgqueue.finished_jobs, pgqueue.workers, pgqueue.schedules, pgqueue.turns, pgqueue.stamp;
  FOR item IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = '__SCHEMA__' AND c.relkind = 'S' LOOP
    EXECUTE format('DROP SEQUENCE pgqueue.%I', item.relname);
  END LOOP;
  DROP FUNCTION pgqueue.outbox_takes_xid(), pgqueue.clock();
END
$drop$
"""
