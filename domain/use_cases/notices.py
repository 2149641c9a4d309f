"""Notices for those who administer an organization, in the transaction of what they tell; some are mailed, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.events import NoticeLeft
from domain.models import Membership, Notification, User, new_id
from domain.use_cases.notice_texts import BY_EMAIL, told
from domain.use_cases.preferences import preferences_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork

_MOST_RECIPIENTS = 50


async def administrators(uow: UnitOfWork) -> Sequence[UUID]:
    """Find who administers this organization."""
    return await _members(uow, "owner", "admin")


async def owners(uow: UnitOfWork) -> Sequence[UUID]:
    """Find who owns this organization."""
    return await _members(uow, "owner")


async def give_notice(
    uow: UnitOfWork, recipients: Iterable[UUID], kind: str, *, key: str, link: str | None = None, **about: str
) -> None:
    """Store one notice for each of them, and have it mailed where that is its kind; the same key again changes nothing.

    ``about`` fills the places in the kind's text. A user who wants no such notices gets none that is unread, and who
    wants no such mails gets none.
    """
    wanted = set(recipients)
    people = await uow.session.execute(
        select(User.id, User.locale).where(User.id.in_(wanted), User.status == "active").order_by(User.id)
    )
    preferences = await preferences_of(uow, wanted, kind)
    for user_id, locale in people.all():
        title, body = told(locale, kind, about)
        values = {
            "id": new_id(),
            "organization_id": uow.organization_id,
            "user_id": user_id,
            "kind": kind,
            "dedupe_key": key,
            "title": title,
            "body": body,
            "link": link,
            "read_at": None if preferences.wants(user_id, "in_app", default=True) else func.clock_timestamp(),
        }
        notice_id = await uow.session.scalar(
            insert(Notification).values(values).on_conflict_do_nothing().returning(Notification.id)
        )
        if notice_id is not None and preferences.wants(user_id, "email", default=kind in BY_EMAIL):
            await uow.publish(NoticeLeft(notice_id=notice_id, user_id=user_id))


async def _members(uow: UnitOfWork, *roles: str) -> Sequence[UUID]:
    found = await uow.session.scalars(
        select(Membership.user_id)
        .where(Membership.organization_id == uow.organization_id, Membership.role.in_(roles))
        .order_by(Membership.user_id)
        .limit(_MOST_RECIPIENTS)
    )
    return found.all()
