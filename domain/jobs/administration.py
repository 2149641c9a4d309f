"""Jobs that follow from decisions about users and organizations: each calls one use case."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
    from pgqueue import Death, JobContext, Outcome

InvalidationReason = Literal["banned", "password_changed", "deletion_requested"]


class AdministrationJob(Job, abstract=True, retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"])):
    """The policy of everything that administers. Big work is done in parts, each a job of its own."""


class PauseOrgScheduledPostsJob(
    AdministrationJob,
    queue="default",
    timeout="90s",
    unique=Unique(),
    idempotency="transaction",
    use_case="PauseOrgScheduledPosts or ResumeOrgPosts",
    dispatched_by=("OrgSuspended", "PauseOrgScheduledPosts", "OrgReinstated", "ResumeOrgPosts"),
):
    """Pause what a suspended organization has scheduled; once it is reinstated, let go on what was paused.

    The organization is the context's.
    """

    suspension_id: UUID
    reinstated_at: datetime | None = None
    part: int = 0

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.identity.pause_org_scheduled_posts(ctx, self.suspension_id, self.reinstated_at, part=self.part)


class InvalidateUserSessionsJob(
    AdministrationJob,
    queue="high",
    timeout="60s",
    unique=Unique(),
    idempotency="transaction",
    use_case="InvalidateUserSessions",
    dispatched_by=("UserBanned", "PasswordChanged", "AccountDeletionRequested", "InvalidateUserSessions"),
):
    """Revoke what a user was signed in with before an epoch."""

    target_user_id: UUID
    epoch: int
    reason: InvalidationReason
    part: int = 0

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        return await app.identity.invalidate_user_sessions(
            ctx, target_user_id=self.target_user_id, epoch=self.epoch, reason=self.reason, part=self.part
        )


class CleanupSuspendedOrgsJob(
    AdministrationJob,
    queue="low",
    timeout="600s",
    unique=Unique(),
    idempotency="transaction",
    use_case="CleanupSuspendedOrgs",
    dispatched_by=("schedule cleanup_suspended_orgs", "CleanupSuspendedOrgs"),
):
    """Mark organizations that were suspended for more than 30 days."""

    part: int = 0

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        return await app.identity.cleanup_suspended_orgs(ctx, part=self.part)


class ProcessAccountDeletionJob(
    AdministrationJob,
    queue="default",
    timeout="90s",
    unique=Unique("deletion_id"),
    idempotency="state check",
    use_case="ProcessAccountDeletion or FindDueDeletions",
    dispatched_by=("AccountDeletionRequested", "schedule process_due_deletions", "FindDueDeletions"),
):
    """Make an account anonymous at the end of its grace period. Without an id: find those that are due."""

    deletion_id: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.identity.process_account_deletion(ctx, self.deletion_id)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the deletion waits for a human."""
        await app.identity.bury_account_deletion(session, death, self.deletion_id)
