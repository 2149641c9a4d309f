"""Jobs that keep the house clean: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from domain.composition import Application
    from pgqueue import JobContext, Outcome

Retention = Literal[
    "sessions",
    "user_tokens",
    "account_connections",
    "invitations",
    "idempotency_keys",
    "webhook_bodies",
    "webhook_events",
    "stripe_payloads",
    "stripe_events",
    "reports",
    "unattached_media",
    "quarantine",
    "read_notifications",
    "unread_notifications",
    "post_metrics_raw",
    "post_metrics",
    "account_metrics_raw",
    "account_metrics",
    "publish_attempts",
    "email_messages",
    "audit",
    "objects",
]
"""Whose time is over: one policy for each kind of thing that is not kept for ever."""


class PurgeExpiredRecordsJob(
    Job,
    queue="low",
    timeout="600s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    unique=Unique("retention", "part"),
    idempotency="state check",  # what is over is looked for, and locked, anew for each batch
    use_case="PurgeExpiredRecords",
    dispatched_by=("schedule purge_expired_records", "PurgeExpiredRecords"),
):
    """Remove what is kept no longer, batch by batch; ``part`` counts the jobs that follow each other."""

    retention: Retention
    part: int = 1

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.maintenance.purge_expired_records(self.retention, self.part, ctx)
