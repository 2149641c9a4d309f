"""Who reacts to what: the whole choreography in one place. Listeners only dispatch jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.events import PostPublished, PostPublishFailed, PostPublishUnconfirmed
from domain.jobs import NotifyPublishResultJob

if TYPE_CHECKING:
    from domain.events import Event, PublicationEnded
    from domain.jobs import PublishResult
    from domain.unit_of_work import UnitOfWork


async def listen(uow: UnitOfWork, event: Event) -> None:
    """React to an event inside the transaction that caused it."""
    match event:
        case PostPublished():
            await _notify(uow, event, "published")
        case PostPublishFailed():
            await _notify(uow, event, "failed")
        case PostPublishUnconfirmed():
            await _notify(uow, event, "unconfirmed")


async def _notify(uow: UnitOfWork, event: PublicationEnded, outcome: PublishResult) -> None:
    for recipient_id in event.audience:
        await uow.dispatch(
            NotifyPublishResultJob(
                scheduled_post_id=event.scheduled_post_id,
                recipient_id=recipient_id,
                outcome=outcome,
                generation=event.generation,
            )
        )
