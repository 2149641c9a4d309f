"""What becomes of an account that is not ours any more, and of what it was to publish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import SocialAccountRevoked
from domain.models import AccountStatus, PostStatus, ScheduledPost, SocialAccount, transition
from domain.use_cases.publications import fail

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork

CODE = "account_revoked"
SLICE = 500
_WAITING = (PostStatus.SCHEDULED, PostStatus.DISPATCHED, PostStatus.PAUSED)


async def give_up(uow: UnitOfWork, account: SocialAccount, reason: str) -> None:
    """Wipe the credentials of an account of this organization, and let its posts end, slice by slice.

    There is no way back, and from the commit on nothing of the account begins to be published.
    """
    transition(account, AccountStatus.REVOKED)
    account.credentials = account.credentials_kid = ""
    account.status_reason = reason
    await abandon_some(uow, account)  # what is due next is not tried in vain until the job comes that ends the rest
    await uow.publish(SocialAccountRevoked(social_account_id=account.id))


async def abandon_some(uow: UnitOfWork, account: SocialAccount) -> bool:
    """End a slice of what has not begun, and say why; tell whether there may be more.

    What is being published finds out by itself.
    """
    found = await uow.session.scalars(
        select(ScheduledPost)
        .where(
            ScheduledPost.organization_id == account.organization_id,
            ScheduledPost.social_account_id == account.id,
            ScheduledPost.status.in_(_WAITING),
        )
        .order_by(ScheduledPost.scheduled_at)
        .limit(SLICE)
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
    return len(posts) == SLICE
