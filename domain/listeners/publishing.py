"""What follows from events of the context `publishing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import NotifyPublishResultJob

if TYPE_CHECKING:
    from domain.events import PostPublished, PostPublishFailed, PostPublishUnconfirmed, PublicationEnded
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
