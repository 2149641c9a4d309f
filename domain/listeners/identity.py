"""What follows from events of users and organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import (
    InvalidateUserSessionsJob,
    PauseOrgScheduledPostsJob,
    ProcessAccountDeletionJob,
    SendPasswordResetJob,
    SendVerificationEmailJob,
)

if TYPE_CHECKING:
    from domain.events import (
        AccountDeletionRequested,
        EmailChanged,
        OrgReinstated,
        OrgSuspended,
        PasswordChanged,
        PasswordResetRequested,
        UserBanned,
        UserRegistered,
    )
    from domain.unit_of_work import UnitOfWork


async def verify_address(uow: UnitOfWork, event: UserRegistered) -> None:
    """Send the link that proves the address."""
    await uow.dispatch(SendVerificationEmailJob(user_token_id=event.user_token_id))


async def verify_new_address(uow: UnitOfWork, event: EmailChanged) -> None:
    """Send the link that proves the new address."""
    await uow.dispatch(SendVerificationEmailJob(user_token_id=event.user_token_id))


async def send_reset(uow: UnitOfWork, event: PasswordResetRequested) -> None:
    """Send the link to a new password, or find that there is nobody to send it to."""
    await uow.dispatch(SendPasswordResetJob(user_token_id=event.user_token_id))


async def end_sessions_of_banned(uow: UnitOfWork, event: UserBanned) -> None:
    """Clean up behind a ban."""
    await uow.dispatch(InvalidateUserSessionsJob(target_user_id=event.user_id, epoch=event.epoch, reason="banned"))


async def end_sessions_of_old_password(uow: UnitOfWork, event: PasswordChanged) -> None:
    """Clean up behind a new password."""
    await uow.dispatch(
        InvalidateUserSessionsJob(target_user_id=event.user_id, epoch=event.epoch, reason="password_changed")
    )


async def end_sessions_of_leaver(uow: UnitOfWork, event: AccountDeletionRequested) -> None:
    """Clean up behind somebody who wants to be forgotten."""
    await uow.dispatch(
        InvalidateUserSessionsJob(target_user_id=event.user_id, epoch=event.epoch, reason="deletion_requested")
    )


async def delete_when_due(uow: UnitOfWork, event: AccountDeletionRequested) -> None:
    """Let the grace period pass; a request that is canceled meanwhile is found canceled."""
    await uow.dispatch(ProcessAccountDeletionJob(deletion_id=event.deletion_id), run_at=event.due_at)


async def let_posts_go_on(uow: UnitOfWork, event: OrgReinstated) -> None:
    """Let go on what was paused."""
    await uow.dispatch(PauseOrgScheduledPostsJob(suspension_id=event.suspension_id, reinstated_at=event.at))


async def pause_posts(uow: UnitOfWork, event: OrgSuspended) -> None:
    """Pause what has not begun."""
    await uow.dispatch(PauseOrgScheduledPostsJob(suspension_id=event.suspension_id))
