"""Jobs that keep accounts usable: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from domain.composition import Application
    from pgqueue import JobContext, Outcome


class RefreshExpiringTokensJob(
    Job,
    queue="high",
    timeout="60s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    max_age="6h",
    unique=Unique("social_account_id", "version"),
    # the same lock as a publication's that finds its tokens refused; behind it the version tells
    idempotency="lock",
    use_case="RefreshExpiringTokens or SweepExpiringTokens",
    dispatched_by=("schedule refresh_expiring_tokens", "SweepExpiringTokens"),
):
    """Renew the tokens of one account; without one find those that end soon."""

    social_account_id: UUID | None = None
    version: int | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.refresh_expiring_tokens(ctx, self.social_account_id, self.version)
