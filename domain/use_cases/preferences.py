"""Whether somebody wants to hear of a kind of news in a way. Without a wish the kind's own rule stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from domain.models import NotificationPreference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork

Channel = Literal["in_app", "email"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """The wishes of some users about one kind of news."""

    wishes: Mapping[tuple[UUID, str], bool]

    def wants(self, user_id: UUID, channel: Channel, *, default: bool) -> bool:
        """Tell whether a user is to be told in this way."""
        return self.wishes.get((user_id, channel), default)


async def preferences_of(uow: UnitOfWork, user_ids: Iterable[UUID], kind: str) -> Preferences:
    """Load what these users have said about a kind."""
    found = await uow.session.execute(
        select(NotificationPreference.user_id, NotificationPreference.channel, NotificationPreference.enabled).where(
            NotificationPreference.user_id.in_(list(user_ids)), NotificationPreference.kind == kind
        )
    )
    return Preferences({(user_id, channel): enabled for user_id, channel, enabled in found})
