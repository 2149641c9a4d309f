"""ListPreferences and SetPreference: of what a user wants to hear, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.models import NotificationPreference
from domain.use_cases import notice_texts, notifying

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.unit_of_work import UnitsOfWork
    from pgqueue import Context

_PUBLISHED: Final = "publish_published"
BY_DEFAULT: Final[Mapping[str, bool]] = {
    _PUBLISHED: False,
    **{f"publish_{outcome}": True for outcome in notifying.BY_EMAIL},
    **{kind: kind in notice_texts.BY_EMAIL for kind in notice_texts.KINDS},
}
"""Every kind of notice, and whether it is mailed to those who said nothing."""


class InvalidPreference(Exception):
    """A kind that does not exist, or that is never mailed; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How a user hears of one kind."""

    kind: str
    in_app: bool
    email: bool


@dataclass(frozen=True, slots=True)
class ListPreferences:
    """How the caller hears of every kind."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> list[Preference]:
        """Return all kinds, by name."""
        row = NotificationPreference
        async with self.units.begin(context) as uow:
            found = await uow.session.execute(
                select(row.kind, row.channel, row.enabled).where(row.user_id == uow.user_id)
            )
            wishes = {(kind, channel): enabled for kind, channel, enabled in found}
        return [
            Preference(kind, wishes.get((kind, "in_app"), True), wishes.get((kind, "email"), by_default))
            for kind, by_default in sorted(BY_DEFAULT.items())
        ]


@dataclass(frozen=True, slots=True)
class SetPreference:
    """The caller wants to hear of a kind in these ways from now on."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Preference) -> None:
        """Store it. Raises `InvalidPreference`."""
        if wanted.kind not in BY_DEFAULT:
            raise InvalidPreference(f"there are no notices of the kind {wanted.kind!r}")
        if wanted.kind == _PUBLISHED and wanted.email:
            raise InvalidPreference("nobody is mailed that all went well")
        async with self.units.begin(context) as uow:
            statement = insert(NotificationPreference).values(
                [
                    {"user_id": uow.user_id, "kind": wanted.kind, "channel": channel, "enabled": enabled}
                    for channel, enabled in (("in_app", wanted.in_app), ("email", wanted.email))
                ]
            )
            await uow.session.execute(
                statement.on_conflict_do_update(
                    index_elements=NotificationPreference.__table__.primary_key,
                    set_={"enabled": statement.excluded.enabled},
                )
            )
