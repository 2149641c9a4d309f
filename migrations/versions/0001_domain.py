"""The domain's tables.

Revision ID: domain_0001
Revises:
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "domain_0001"
down_revision = None
branch_labels = ("domain",)
# Jobs are enqueued by the domain's transactions: its tables are of no use without the queue's.
depends_on = "pgqueue_0001"

# Takes ACCESS EXCLUSIVE on nothing that existed before.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"

_TABLES = (
    "email_messages",
    "notifications",
    "publish_attempts",
    "scheduled_posts",
    "posts",
    "social_accounts",
    "memberships",
    "users",
    "organizations",
)


def upgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    script = Path(__file__).with_suffix(".sql").read_text("utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(sa.text(statement))


def downgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    for table in _TABLES:
        op.execute(f"DROP TABLE smm.{table}")
    op.execute("DROP SCHEMA smm")
