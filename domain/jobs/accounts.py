"""Jobs that keep accounts usable: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import Field

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from domain.app import Application
    from pgqueue import JobContext, Outcome


class RefreshExpiringTokensJob(
    Job,
    queue="high",
    timeout="60s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    max_age="6h",
    unique=Unique("social_account_id", "version", "slice_no"),
    use_case="RefreshExpiringTokens",
    dispatched_by=("schedule", "RefreshExpiringTokens"),
):
    """Renew the tokens of one account; without an account find those that end soon."""

    social_account_id: UUID | None = None
    version: int | None = None
    slice_no: int = Field(default=0, ge=0)

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.publishing.refresh_expiring_tokens(
            ctx,
            social_account_id=self.social_account_id,
            token_version=self.version,
            slice_no=self.slice_no,
        )
