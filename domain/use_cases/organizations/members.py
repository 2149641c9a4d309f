"""ChangeRole, RemoveMember, LeaveOrganization and ListMembers.

Each locks the organization's row first: two owners who leave at once find one of them the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from domain.models import AccountConnection, Membership, Right, Role, User
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.administration.suspension import locked_organization
from domain.use_cases.auditing import audit
from domain.use_cases.organizations.authorizing import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context


class LastOwner(Exception):
    """An organization would be left without an owner."""

    def __init__(self) -> None:
        super().__init__("make somebody else an owner first")


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who belongs to an organization."""

    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class ListMembers:
    """Who belongs to an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Sequence[Member]:
        """Return them, the oldest members first. Raises `NotAMember`."""
        async with self.units.begin(context) as uow:
            await require(uow, Right.VIEW)
            found = await uow.session.execute(
                select(User.id, User.name, User.email, Membership.role, Membership.created_at)
                .join(Membership, Membership.user_id == User.id)
                .where(Membership.organization_id == uow.organization_id)
                .order_by(Membership.created_at, User.id)
            )
            return [Member(id_, name, email, Role(role), since) for id_, name, email, role, since in found]


@dataclass(frozen=True, slots=True)
class ChangeRole:
    """Somebody is given another role."""

    units: UnitsOfWork

    async def __call__(self, context: Context, user_id: UUID, role: Role) -> None:
        """Change it. Raises `NotAMember`, `Forbidden`, `UnknownSubject`, `LastOwner`."""
        async with self.units.begin(context) as uow:
            await locked_organization(uow)
            mine = await require(uow, Right.MANAGE_MEMBERS)
            row = await _member(uow, user_id)
            reach(mine, Role(row.role))
            reach(mine, role)
            if row.role == role:
                return
            if row.role == Role.OWNER:
                await _keep_an_owner(uow, user_id)
            row.role = role.value
            audit(uow, "member.role_changed", ("user", user_id), role=role.value)


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Somebody is sent away; what they wrote and connected stays."""

    units: UnitsOfWork

    async def __call__(self, context: Context, user_id: UUID) -> None:
        """Remove the member. Raises `NotAMember`, `Forbidden`, `UnknownSubject`, `LastOwner`."""
        async with self.units.begin(context) as uow:
            await locked_organization(uow)
            mine = await require(uow, Right.MANAGE_MEMBERS)
            row = await _member(uow, user_id)
            reach(mine, Role(row.role))
            await _end(uow, row)
            audit(uow, "member.removed", ("user", user_id))


@dataclass(frozen=True, slots=True)
class LeaveOrganization:
    """Somebody goes."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> None:
        """Leave. Raises `NotAMember`, `LastOwner`."""
        async with self.units.begin(context) as uow:
            await locked_organization(uow)
            await require(uow, Right.VIEW)
            await _end(uow, await _member(uow, uow.user_id))
            audit(uow, "member.left", ("user", uow.user_id))


def reach(mine: Role, theirs: Role) -> None:
    """Raise `Forbidden` unless a role may give or take the other: nobody decides about those above."""
    if theirs.rank < mine.rank:
        raise Forbidden(f"your role here is {mine}; only those above decide about the role {theirs}")


async def _end(uow: UnitOfWork, row: Membership) -> None:
    if row.role == Role.OWNER:
        await _keep_an_owner(uow, row.user_id)
    # an account that they were about to connect is not connected any more
    await uow.session.execute(
        delete(AccountConnection).where(
            AccountConnection.organization_id == row.organization_id, AccountConnection.user_id == row.user_id
        )
    )
    await uow.session.delete(row)


async def _member(uow: UnitOfWork, user_id: UUID) -> Membership:
    row = await uow.session.get(Membership, (uow.organization_id, user_id), with_for_update=True)
    if row is None:
        raise UnknownSubject(f"user {user_id} does not belong to this organization")
    return row


async def _keep_an_owner(uow: UnitOfWork, user_id: UUID) -> None:
    others = await uow.session.scalar(
        select(func.count())
        .select_from(Membership)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.organization_id == uow.organization_id,
            Membership.role == Role.OWNER,
            Membership.user_id != user_id,
            User.status == "active",
        )
    )
    if not others:
        raise LastOwner
