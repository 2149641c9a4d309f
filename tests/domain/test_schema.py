"""Both branches through the root's alembic.ini, as the README shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from domain.models import SCHEMA, Base
from tests.conftest import sqlalchemy_address

ROOT = Path(__file__).parents[2]

SHAPE = """
SELECT 'column', c.relname::text, concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
         a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)) FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = 'smm'::regnamespace AND c.relkind = 'r'
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE connamespace = 'smm'::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'smm'
ORDER BY 1, 2, 3
"""

# What only domain_0001 could hold, in every state that domain_0002 asks more of.
OLD_ROWS = """
INSERT INTO smm.organizations (id, name, slug, status)
  VALUES ('a0000000-0000-7000-8000-000000000001', 'a', 'a', 'suspended'),
         ('a0000000-0000-7000-8000-000000000002', 'b', 'b', 'pending_deletion');
INSERT INTO smm.users (id, email, status)
  VALUES ('b0000000-0000-7000-8000-000000000001', 'a@a.example', 'banned'),
         ('b0000000-0000-7000-8000-000000000002', 'b@a.example', 'pending_deletion'),
         ('b0000000-0000-7000-8000-000000000003', 'c@a.example', 'anonymized');
INSERT INTO smm.posts (id, organization_id, author_id, body)
  VALUES ('c0000000-0000-7000-8000-000000000001', 'a0000000-0000-7000-8000-000000000001',
          'b0000000-0000-7000-8000-000000000001', 'pão \\ café');
INSERT INTO smm.social_accounts (id, organization_id, provider, base_url, external_id, handle, connected_by,
                                 credentials, credentials_kid)
  VALUES ('d0000000-0000-7000-8000-000000000001', 'a0000000-0000-7000-8000-000000000001', 'mastodon',
          'https://m.example', '1', '@a', 'b0000000-0000-7000-8000-000000000001', 'sealed', 'k');
INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at, publish_key)
  VALUES ('e0000000-0000-7000-8000-000000000001', 'a0000000-0000-7000-8000-000000000001',
          'c0000000-0000-7000-8000-000000000001', 'd0000000-0000-7000-8000-000000000001',
          'b0000000-0000-7000-8000-000000000001', now(), gen_random_uuid());
"""

# What domain_0001 has no place for.
NEW_ROWS = """
INSERT INTO smm.social_accounts (id, organization_id, provider, base_url, external_id, handle, connected_by,
                                 credentials, credentials_kid)
  VALUES ('d0000000-0000-7000-8000-000000000002', 'a0000000-0000-7000-8000-000000000001', 'bluesky',
          'https://b.example', '1', '@a', 'b0000000-0000-7000-8000-000000000001', 'sealed', 'k');
INSERT INTO smm.scheduled_posts (id, organization_id, post_id, social_account_id, created_by, scheduled_at, publish_key)
  VALUES ('e0000000-0000-7000-8000-000000000002', 'a0000000-0000-7000-8000-000000000001',
          'c0000000-0000-7000-8000-000000000001', 'd0000000-0000-7000-8000-000000000002',
          'b0000000-0000-7000-8000-000000000001', now(), gen_random_uuid());
INSERT INTO smm.publish_attempts (id, organization_id, scheduled_post_id, attempt, phase, outcome, trace_id)
  SELECT gen_random_uuid(), 'a0000000-0000-7000-8000-000000000001', 'e0000000-0000-7000-8000-000000000001',
         attempt, phase, outcome, gen_random_uuid()
  FROM (VALUES (1, 'upload', 'ok'), (1, 'publish', 'duplicate'), (1, 'reconcile', 'ok'), (2, 'publish', 'ok'))
    AS a (attempt, phase, outcome);
INSERT INTO smm.email_messages (id, organization_id, dedupe_key, template, recipient_fingerprint, message_id, status)
  VALUES (gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'x', 'reset', '', '<x>', 'sent'),
         (gen_random_uuid(), 'a0000000-0000-7000-8000-000000000001', 'y', 'reset', '', '<y>', 'suppressed');
"""


def alembic(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env=os.environ | {"PGQUEUE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("pgvector")
def test_up_check_down_up(empty_database_url: str) -> None:
    alembic(empty_database_url, "upgrade", "heads")
    assert "No new upgrade operations" in alembic(empty_database_url, "check")
    alembic(empty_database_url, "downgrade", "base")
    with psycopg.connect(empty_database_url) as conn:
        left = conn.execute("SELECT FROM pg_tables WHERE schemaname IN ('smm', 'pgqueue')").fetchall()
        assert left == []
    alembic(empty_database_url, "upgrade", "heads")
    assert {line.split()[0] for line in alembic(empty_database_url, "current").splitlines()} == {
        "domain_0003",
        "pgqueue_0002",
    }


def test_the_models_and_the_migrations_make_the_same_tables(database_url: str, empty_database_url: str) -> None:
    """Checks as well, which `alembic check` does not compare."""
    engine = sa.create_engine(sqlalchemy_address(empty_database_url))
    with engine.begin() as conn:
        conn.execute(sa.text("CREATE EXTENSION vector"))
        conn.execute(sa.schema.CreateSchema(SCHEMA))
        Base.metadata.create_all(conn)
    engine.dispose()
    with psycopg.connect(database_url) as migrated, psycopg.connect(empty_database_url) as created:
        assert migrated.execute(SHAPE).fetchall() == created.execute(SHAPE).fetchall()


@pytest.mark.usefixtures("pgvector")
def test_rows_survive_the_way_up_and_the_way_down(empty_database_url: str) -> None:
    alembic(empty_database_url, "upgrade", "domain_0001")
    with psycopg.connect(empty_database_url) as conn:
        before = conn.execute(SHAPE).fetchall()
        conn.execute(OLD_ROWS)
    alembic(empty_database_url, "upgrade", "domain@head")
    with psycopg.connect(empty_database_url) as conn:
        hashed = conn.execute("SELECT content_hash = sha256(convert_to(body, 'UTF8')) FROM smm.posts").fetchall()
        assert hashed == [(True,)]
        conn.execute(NEW_ROWS)
    alembic(empty_database_url, "downgrade", "domain_0001")
    with psycopg.connect(empty_database_url) as conn:
        assert conn.execute(SHAPE).fetchall() == before
        attempts = conn.execute("SELECT attempt, phase, outcome FROM smm.publish_attempts ORDER BY attempt").fetchall()
        assert attempts == [(1, "publish", "unknown"), (2, "reconcile", "ok"), (3, "publish", "ok")]
        counts = conn.execute(
            """SELECT (SELECT count(*) FROM smm.posts), (SELECT count(*) FROM smm.scheduled_posts),
                      (SELECT count(*) FROM smm.email_messages)"""
        ).fetchone()
        assert counts == (1, 1, 0)
