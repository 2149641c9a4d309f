"""What the database says. Nothing in the demo's result comes from anywhere but here and the stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from typing import Self

TRIAGE: LiteralString = """\
SELECT id, kind, reason, attempt, error
  FROM pgqueue.dead_jobs
 ORDER BY died_at DESC"""


class Facts:
    """Reads, never writes."""

    def __init__(self, url: str) -> None:
        self._conn = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()

    def rows(self, sql: LiteralString, *params: object) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self._conn.execute(sql, params).fetchall()

    def number(self, sql: LiteralString, *params: object) -> int:
        """Return the number that a query finds."""
        found = self.rows(sql, *params)[0]
        return int(next(iter(found.values())) or 0)

    def posts(self) -> dict[str, int]:
        """Count the scheduled posts by status."""
        found = self.rows("SELECT status, count(*) AS n FROM smm.scheduled_posts GROUP BY status")
        return {row["status"]: row["n"] for row in found}

    def jobs(self) -> dict[str, int]:
        """Count the jobs by state."""
        found = self.rows("SELECT state, count(*) AS n FROM pgqueue.all_jobs GROUP BY state")
        return {row["state"]: row["n"] for row in found}

    def live_jobs(self) -> int:
        """Count the jobs of publishing and its mails that are not at their end; numbers are asked for much later."""
        sql: LiteralString = """SELECT count(*) FROM pgqueue.all_jobs
            WHERE state NOT IN ('completed', 'cancelled', 'discarded', 'dead', 'merged')
              AND queue IN ('publishing', 'notifications')"""
        return self.number(sql)

    def worker_pid_of(self, publish_key: str) -> int | None:
        """Find the process that is publishing the post with this key."""
        sql: LiteralString = """SELECT w.pid FROM smm.scheduled_posts s
            JOIN pgqueue.all_jobs j ON j.args ->> 'scheduled_post_id' = s.id::text AND j.state = 'running'
            JOIN pgqueue.workers w ON w.id = j.worker_id
            WHERE s.publish_key = %s"""
        found = self.rows(sql, publish_key)
        return found[0]["pid"] if found else None

    def post_by_key(self, publish_key: str) -> dict[str, Any]:
        """Load a scheduled post with the outcomes of its attempts and its job."""
        sql: LiteralString = """SELECT s.id, s.status, s.failure_code, s.permalink,
              ARRAY(SELECT coalesce(a.outcome, 'open') FROM smm.publish_attempts a
                     WHERE a.scheduled_post_id = s.id ORDER BY a.attempt) AS outcomes,
              j.state AS job_state, j.attempt AS job_attempt, j.id AS job_id
            FROM smm.scheduled_posts s
            JOIN pgqueue.all_jobs j ON j.args ->> 'scheduled_post_id' = s.id::text
                 AND j.kind = 'ProcessScheduledPostJob'
            WHERE s.publish_key = %s"""
        return self.rows(sql, publish_key)[0]

    def waits(self) -> dict[str, float]:
        """Return how late the first call for each post began, in milliseconds."""
        sql: LiteralString = """SELECT
              percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS p50,
              percentile_cont(0.95) WITHIN GROUP (ORDER BY late) AS p95
            FROM (SELECT extract(epoch FROM a.started_at - s.scheduled_at) * 1000 AS late
                    FROM smm.publish_attempts a JOIN smm.scheduled_posts s ON s.id = a.scheduled_post_id
                   WHERE a.attempt = 1) waits"""
        return {name: round(float(value or 0), 1) for name, value in self.rows(sql)[0].items()}
