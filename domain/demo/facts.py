"""What is true: the outside's own word, the database, the stored objects. No result comes from anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, LiteralString, NamedTuple, Protocol, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class Part(Protocol):
    """A stand-in, in whatever process."""

    @property
    def url(self) -> str:
        """Where its service is."""

    def state(self) -> dict[str, Any]:
        """Return what happened so far."""


P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Outside(Generic[P]):
    """All systems that are not ours."""

    mastodon: P
    second: P
    """Another Mastodon server."""
    bluesky: P
    instagram: P
    linkedin: P
    mail: P
    clamd: P
    stripe: P
    receiver: P


class Shown(NamedTuple):
    """A post as a network has it."""

    network: str
    url: str
    account: str
    text: str
    external_id: str


class Facts:
    """Reads, never writes."""

    def __init__(self, url: str, outside: Outside[Any], objects: Path) -> None:
        self.outside = outside
        self.objects = objects
        self._conn = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()

    def rows(self, query: LiteralString, *params: object) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self._conn.execute(query, params).fetchall()

    def number(self, query: LiteralString, *params: object) -> int:
        """Return the number that a query finds."""
        found = self.rows(query, *params)[0]
        return int(next(iter(found.values())) or 0)

    def on_networks(self) -> list[Shown]:
        """Ask every network what it has."""
        out = self.outside
        found = [
            Shown("mastodon", part.url, status["acct"], status["text"], status["id"])
            for part in (out.mastodon, out.second)
            for status in part.state()["statuses"]
        ]
        found += (
            Shown("bluesky", out.bluesky.url, post["id"].split("/")[2], post["text"], post["id"])
            for post in out.bluesky.state()["posts"]
        )
        found += (
            Shown("instagram", out.instagram.url, post["account"], post["text"], post["id"])
            for post in out.instagram.state()["posts"]
        )
        found += (
            Shown("linkedin", out.linkedin.url, post["author"], post["text"], post["id"])
            for post in out.linkedin.state()["posts"]
        )
        return found

    def posts(self) -> dict[str, int]:
        """Count the scheduled posts by status."""
        found = self.rows("SELECT status, count(*) AS n FROM smm.scheduled_posts GROUP BY status")
        return {row["status"]: row["n"] for row in found}

    def jobs(self) -> dict[str, int]:
        """Count the jobs by state."""
        found = self.rows("SELECT state, count(*) AS n FROM pgqueue.all_jobs GROUP BY state")
        return {row["state"]: row["n"] for row in found}

    def busy(self) -> int:
        """Count the jobs that are not at their end and due within a minute."""
        return self.number(
            """SELECT count(*) FROM pgqueue.all_jobs
                WHERE state NOT IN ('completed', 'cancelled', 'discarded', 'dead', 'merged')
                  AND (run_at IS NULL OR run_at < now() + interval '1 minute')"""
        )

    def published(self, text: str) -> list[dict[str, Any]]:
        """Load what has this text: each scheduled post with its calls in order, and its job."""
        return self.rows(
            """SELECT s.id, s.status, s.failure_code, s.external_id, s.permalink, s.scheduled_at,
                 a.provider, a.base_url, a.status AS account_status,
                 ARRAY(SELECT coalesce(c.outcome, 'open') FROM smm.publish_attempts c
                        WHERE c.scheduled_post_id = s.id ORDER BY c.attempt) AS outcomes,
                 (SELECT min(c.started_at) FROM smm.publish_attempts c WHERE c.scheduled_post_id = s.id) AS first_call,
                 j.id AS job_id, j.state AS job_state, j.attempt AS job_attempt, j.errors AS job_errors
               FROM smm.posts p
               JOIN smm.scheduled_posts s ON s.post_id = p.id
               JOIN smm.social_accounts a ON a.id = s.social_account_id
               LEFT JOIN pgqueue.all_jobs j ON j.kind = 'ProcessScheduledPostJob' AND j.state <> 'merged'
                    AND j.args ->> 'scheduled_post_id' = s.id::text
               WHERE p.body = %s
               ORDER BY a.provider, s.id""",
            text,
        )

    def times(self, text: str) -> dict[str, int]:
        """Count how often each network shows a text."""
        found: dict[str, int] = {}
        for post in self.on_networks():
            if post.text == text:
                found[post.network] = found.get(post.network, 0) + 1
        return found

    def mailed(self, address: str, words: str = "") -> list[dict[str, Any]]:
        """Ask the mail server what an address got with these words in the subject or the text."""
        return [
            message
            for message in self.outside.mail.state()["messages"]
            if address in message["to"] and words in message["subject"] + message["text"]
        ]

    def waits(self) -> dict[str, float]:
        """Return how late the first call for each post began, in milliseconds."""
        found = self.rows(
            """SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS p50,
                 percentile_cont(0.95) WITHIN GROUP (ORDER BY late) AS p95
               FROM (SELECT extract(epoch FROM a.started_at - s.scheduled_at) * 1000 AS late
                       FROM smm.publish_attempts a JOIN smm.scheduled_posts s ON s.id = a.scheduled_post_id
                      WHERE a.attempt = 1) waits"""
        )[0]
        return {name: round(float(value or 0), 1) for name, value in found.items()}

    def tables(self) -> list[str]:
        """Name every table of the application, and the queue's view of all its jobs."""
        found = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'smm' ORDER BY 1")
        return [f"smm.{row['tablename']}" for row in found] + ["pgqueue.all_jobs"]

    def mentions(self, table: str, words: str) -> bool:
        """Tell whether any row of a table holds these words."""
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE strpos(lower(t::text), lower(%s)) > 0) AS found").format(
            sql.Identifier(*table.split("."))
        )
        row = self._conn.execute(query, [words]).fetchone()
        return bool(row and row["found"])
