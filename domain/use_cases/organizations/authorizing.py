"""Authorize: the one place that decides whether somebody may do something in an organization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import RIGHTS, Membership, Organization, OrganizationStatus, Right, Role, User, UserStatus
from domain.use_cases.administration.operators import Forbidden, UnknownSubject

if TYPE_CHECKING:
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context

_MAY_LOOK = (UserStatus.ACTIVE, UserStatus.PENDING_DELETION)


class NotAMember(UnknownSubject):
    """The caller does not belong to this organization, or there is none: which of these is nobody's business."""

    def __init__(self) -> None:
        super().__init__("there is no such organization")


@dataclass(frozen=True, slots=True)
class Authorize:
    """What a controller asks before it does anything in an organization's name."""

    units: UnitsOfWork

    async def __call__(self, context: Context, right: Right) -> Role:
        """Return the caller's role. Raises `NotAMember`, `Forbidden`."""
        async with self.units.begin(context) as uow:
            return await require(uow, right)


async def require(uow: UnitOfWork, right: Right) -> Role:
    """Return the caller's role in this organization if it has the right. Raises `NotAMember`, `Forbidden`.

    Whoever belongs to an organization may look at it, also while it is suspended; nothing else is allowed then.
    """
    found = await uow.session.execute(
        select(Membership.role, Organization.status, User.status.label("standing"))
        .join(Organization, Organization.id == Membership.organization_id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.organization_id == uow.organization_id,
            Membership.user_id == uow.user_id,
            Organization.status != OrganizationStatus.DELETED,
            User.status.in_(_MAY_LOOK),
        )
    )
    row = found.one_or_none()
    if row is None:
        raise NotAMember
    role = Role(row.role)
    if right not in RIGHTS[role]:
        who = ", ".join(each for each in Role if right in RIGHTS[each])
        raise Forbidden(f"your role here is {role}; this is for: {who}")
    if right != Right.VIEW and row.status != OrganizationStatus.ACTIVE:
        raise Forbidden(f"the organization is {row.status}")
    if right != Right.VIEW and row.standing != UserStatus.ACTIVE:
        raise Forbidden("your account is about to be deleted; cancel that first")
    return role
