"""Who may decide about others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import User, UserStatus

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork


class Forbidden(Exception):
    """The caller may not do this; the message says who may."""


class UnknownSubject(Exception):
    """There is no such user, organization or request."""


async def require_operator(uow: UnitOfWork) -> None:
    """Raise `Forbidden` unless the caller is an operator of the platform."""
    found = await uow.session.scalar(
        select(User.is_operator).where(User.id == uow.user_id, User.status == UserStatus.ACTIVE)
    )
    if not found:
        raise Forbidden("only operators of the platform may do this")
