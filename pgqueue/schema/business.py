"""The tables of revision 0002: what a business needs beside the life of a job."""

from __future__ import annotations

import sqlalchemy as sa

from pgqueue.schema.columns import bigint, time


def merged_jobs(tables: sa.MetaData, clock: sa.TextClause) -> None:
    """Ids of jobs that were merged into another one."""
    merged = sa.Table(
        "merged_jobs",
        tables,
        bigint("id", primary_key=True, autoincrement=False),
        bigint("survivor", nullable=False),
        time("merged_at", nullable=False, server_default=clock),
    )
    sa.Index("merged_jobs_by_time", merged.c.merged_at)
