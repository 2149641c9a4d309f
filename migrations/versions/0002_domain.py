"""The whole model of the domain: what all 23 jobs need.

Revision ID: domain_0002
Revises: domain_0001
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "domain_0002"
down_revision = "domain_0001"
branch_labels = None
depends_on = None

# Long enough for a busy table, short enough that nobody queues behind a migration that waits.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"


def _run(file: str) -> None:
    op.execute(LOCK_TIMEOUT)
    for statement in Path(__file__).with_name(file).read_text("utf-8").split(";\n"):
        if statement.strip():
            op.execute(sa.text(statement))


def upgrade() -> None:
    _run("0002_domain.sql")


def downgrade() -> None:
    _run("0002_domain_down.sql")
