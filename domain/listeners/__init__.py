"""Who reacts to what: the whole choreography in one table. Listeners only dispatch jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.events import (
    MediaCleared,
    MediaUploaded,
    PostPublished,
    PostPublishFailed,
    PostPublishUnconfirmed,
    SocialAccountReconnected,
)
from domain.listeners import media, publishing

if TYPE_CHECKING:
    from domain.events import Event
    from domain.unit_of_work import UnitOfWork

# A listener names the one event that it takes; the table's key is that event.
Reaction = Callable[..., Awaitable[None]]

LISTENERS: Mapping[type[Any], Sequence[Reaction]] = {
    # publishing
    PostPublished: [publishing.tell_of_success],
    PostPublishFailed: [publishing.tell_of_failure],
    PostPublishUnconfirmed: [publishing.tell_of_doubt],
    # accounts
    SocialAccountReconnected: [publishing.resume_of_account],
    # identity and administration
    # billing
    # webhooks and reports
    # media
    MediaUploaded: [media.scan],
    MediaCleared: [media.make_small, publishing.resume_with_media],
    # analytics
}


async def listen(uow: UnitOfWork, event: Event) -> None:
    """React to an event inside the transaction that caused it."""
    for react in LISTENERS.get(type(event), ()):
        await react(uow, event)
