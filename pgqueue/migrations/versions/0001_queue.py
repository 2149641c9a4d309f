"""The queue's tables and functions.

Revision ID: pgqueue_0001
Revises:
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from pgqueue.migrations import BRANCH
from pgqueue.migrations.steps import execute, install_functions, run_file, schema_name

revision = "pgqueue_0001"
down_revision = None
branch_labels = (BRANCH,)
depends_on = None


def upgrade() -> None:
    """Create the schema with all tables; the newest revision installs functions and views."""
    op.execute(sa.schema.CreateSchema(schema_name(), if_not_exists=True))
    run_file(Path(__file__).with_name("0001_queue.sql"))
    install_functions("make_days")  # the newest revision installs all: they know its columns and types
    execute("SELECT pgqueue.make_days(9)")
    execute("INSERT INTO pgqueue.stamp (version, least_worker) VALUES (1, 1)")


def downgrade() -> None:
    """Drop everything that belongs to the queue; the schema itself may hold Alembic's version table."""
    execute(_DROP.replace("__SCHEMA__", schema_name()))


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
