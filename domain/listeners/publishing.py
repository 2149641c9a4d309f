"""What follows from events of the context `publishing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import NotifyPublishResultJob, RetryPublishJob

if TYPE_CHECKING:
    from domain.events import (
        MediaCleared,
        PostPublished,
        PostPublishFailed,
        PostPublishUnconfirmed,
        PublicationEnded,
        SocialAccountNeedsReauth,
        SocialAccountReconnected,
        SocialAccountRevoked,
    )
    from domain.jobs import PublishResult
    from domain.unit_of_work import UnitOfWork


async def tell_of_success(uow: UnitOfWork, event: PostPublished) -> None:
    """Tell the audience that the network has the post."""
    await _tell(uow, event, "published")


async def tell_of_failure(uow: UnitOfWork, event: PostPublishFailed) -> None:
    """Tell the audience that the network does not have the post."""
    await _tell(uow, event, "failed")


async def tell_of_doubt(uow: UnitOfWork, event: PostPublishUnconfirmed) -> None:
    """Tell the audience that nobody knows."""
    await _tell(uow, event, "unconfirmed")


async def posts_of_account(
    uow: UnitOfWork, event: SocialAccountNeedsReauth | SocialAccountReconnected | SocialAccountRevoked
) -> None:
    """Let the posts of an account follow it: they wait for it, go on with it, or end with it."""
    await uow.dispatch(RetryPublishJob(cause="reauth", subject_id=event.social_account_id))


async def resume_with_media(uow: UnitOfWork, event: MediaCleared) -> None:
    """Try again what failed for want of a scan."""
    await uow.dispatch(RetryPublishJob(cause="media", subject_id=event.media_id))


async def _tell(uow: UnitOfWork, event: PublicationEnded, outcome: PublishResult) -> None:
    for recipient_id in event.audience:
        await uow.dispatch(
            NotifyPublishResultJob(
                scheduled_post_id=event.scheduled_post_id,
                recipient_id=recipient_id,
                outcome=outcome,
                generation=event.generation,
            )
        )
