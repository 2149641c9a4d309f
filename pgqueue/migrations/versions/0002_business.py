"""What a business needs of a queue: uniqueness, schedules, limits, fairness, breakers, alerts.

Revision ID: pgqueue_0002
Revises: pgqueue_0001
"""

from __future__ import annotations

from pathlib import Path

from pgqueue.migrations.steps import execute, install_functions, install_views, run_file

revision = "pgqueue_0002"
down_revision = "pgqueue_0001"
branch_labels = None
depends_on = None

# One file of tables and columns for each part, with its way back beside it (`…_down.sql`).
PARTS = (
    "0002_business",
    "0002_sources",
    "0002_schedules",
    "0002_unique",
    "0002_supervision",
    "0002_limits",
    "0002_actions",
    "0002_breakers",
    "0002_alerts",
)


def upgrade() -> None:
    """Create the tables and columns, then bring functions and views up to date, then the stamp."""
    for part in PARTS:
        run_file(Path(__file__).with_name(f"{part}.sql"))
    install_functions()
    install_views()
    execute("UPDATE pgqueue.stamp SET version = 2, least_worker = 2")


def downgrade() -> None:
    """Drop what this revision made."""
    for part in reversed(PARTS):
        run_file(Path(__file__).with_name(f"{part}_down.sql"))
    execute("UPDATE pgqueue.stamp SET version = 1, least_worker = 1")
