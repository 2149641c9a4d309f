"""Rows of `jobs` that no library wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from tests.sql.client import Connection


def into_jobs(conn: Connection, **columns: object) -> int:
    """A row that its author wrote past the outbox."""
    query = sql.SQL(
        """INSERT INTO pgqueue.jobs (id, enqueued_at, correlation_id, trace_id, queue, kind, organization_id, user_id,
             args, {})
           SELECT nextval('pgqueue.job_ids'), pgqueue.clock(), gen_random_uuid(), gen_random_uuid(), 'default', 'K',
             'org', 'user', '{{}}', {} RETURNING id"""
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(sql.Placeholder() * len(columns)))
    row = conn.execute(query, list(columns.values())).fetchone()
    assert row
    return int(row[0])
