"""What becomes of an account that is not ours any more, and of what it was to publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import AccountStatus, PostStatus, ScheduledPost, SocialAccount, transition
from domain.use_cases.publications import fail

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork

CODE = "account_revoked"
_WAITING = (PostStatus.SCHEDULED, PostStatus.DISPATCHED, PostStatus.PAUSED)


def give_up(account: SocialAccount, reason: str) -> None:
    """Wipe the credentials; there is no way back."""
    transition(account, AccountStatus.REVOKED)
    account.credentials = account.credentials_kid = ""
    account.status_reason = reason


async def abandon_posts(uow: UnitOfWork, account: SocialAccount) -> int:
    """End what has not begun, and say why. What is being published finds out by itself; returns how many ended."""
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == account.organization_id,
            ScheduledPost.social_account_id == account.id,
            ScheduledPost.status.in_(_WAITING),
        )
        .order_by(ScheduledPost.id)
        .with_for_update(skip_locked=True)  # one that is just being taken up finds the account's state by itself
    )
    posts = found.all()
    message = f"the account {account.handle} was disconnected"
    for post in posts:
        if post.status == PostStatus.DISPATCHED:  # its time had come: its author expects to hear of it
            await fail(uow, post, code=CODE, message=message)
            continue
        transition(post, PostStatus.CANCELED)
        post.paused_from = post.paused_reason = None
        post.failure_code, post.failure_message = CODE, message
    return len(posts)
