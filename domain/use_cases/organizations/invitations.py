"""InviteMember, WithdrawInvitation, AcceptInvitation, DeclineInvitation and who was invited.

An invitation is for an address. Who has verified that address finds it after signing in, so nothing tells whether an
address is known, and no secret is sent around. Whoever has an account already gets a notice and a mail; to anybody else
we have promised no mail, and whoever invites hands on the link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.models import (
    Invitation,
    Membership,
    Organization,
    OrganizationStatus,
    Right,
    Role,
    User,
    UserStatus,
    limits_of,
    new_id,
)
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.administration.suspension import locked_organization
from domain.use_cases.auditing import audit
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.clock import database_now
from domain.use_cases.identity.addresses import checked_address
from domain.use_cases.notice_texts import INVITED
from domain.use_cases.notices import give_notice
from domain.use_cases.organizations.authorizing import require
from domain.use_cases.organizations.members import reach
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from domain.unit_of_work import UnitOfWork, UnitsOfWork

GOOD_FOR = timedelta(days=14)


class AlreadyAMember(Exception):
    """Whoever is invited belongs to the organization already."""

    def __init__(self) -> None:
        super().__init__("this address belongs to a member already")


@dataclass(frozen=True, slots=True)
class Invited:
    """An open invitation."""

    invitation_id: UUID
    organization_id: UUID
    organization: str
    email: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InviteMember:
    """An address may join."""

    units: UnitsOfWork
    base_url: str

    def link(self, invitation_id: UUID) -> str:
        """Return where an invitation is answered. It holds no secret: the page asks who it is."""
        return f"{self.base_url.rstrip('/')}/invitations/{invitation_id}"

    async def __call__(self, context: Context, *, email: str, role: Role) -> UUID:
        """Store the invitation, in place of an earlier one for this address, and return its id.

        Raises `InvalidAddress`, `NotAMember`, `Forbidden`, `AlreadyAMember`, `PlanLimit`.
        """
        address = checked_address(email)
        async with self.units.begin(context) as uow:
            organization = await locked_organization(uow)
            reach(await require(uow, Right.MANAGE_MEMBERS), role)
            if await _belongs(uow, address):
                raise AlreadyAMember
            await _room_for_one_more(uow, organization, besides=address)
            values = {
                "role": role.value,
                "invited_by": uow.user_id,
                "expires_at": func.clock_timestamp() + GOOD_FOR,
            }
            statement = insert(Invitation).values(
                id=new_id(), organization_id=uow.organization_id, email=address, **values
            )
            invitation_id: UUID = (
                await uow.session.execute(
                    statement.on_conflict_do_update(
                        index_elements=[Invitation.organization_id, Invitation.email], set_=values
                    ).returning(Invitation.id)
                )
            ).scalar_one()
            audit(uow, "member.invited", ("invitation", invitation_id), role=role.value)
            await self._tell(uow, address, invitation_id, organization)
            return invitation_id

    async def _tell(self, uow: UnitOfWork, address: str, invitation_id: UUID, organization: Organization) -> None:
        """Tell whoever has proved this address, at most once a day however often they are invited."""
        known = await uow.session.scalars(
            select(User.id).where(func.lower(User.email) == address, User.status == UserStatus.ACTIVE)
        )
        today = (await database_now(uow)).date()
        key = f"invited:{organization.id}:{today}"
        link = self.link(invitation_id)
        await give_notice(uow, known.all(), INVITED, key=key, link=link, organization=organization.name)


@dataclass(frozen=True, slots=True)
class WithdrawInvitation:
    """An address may not join after all."""

    units: UnitsOfWork

    async def __call__(self, context: Context, invitation_id: UUID) -> None:
        """Delete the invitation. Raises `NotAMember`, `Forbidden`, `UnknownSubject`."""
        async with self.units.begin(context) as uow:
            await require(uow, Right.MANAGE_MEMBERS)
            row = await uow.session.get(Invitation, invitation_id, with_for_update=True)
            if row is None or row.organization_id != uow.organization_id:
                raise UnknownSubject(f"there is no invitation {invitation_id}")
            await uow.session.delete(row)
            audit(uow, "invitation.withdrawn", ("invitation", invitation_id))


@dataclass(frozen=True, slots=True)
class ListInvitations:
    """The open invitations of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Sequence[Invited]:
        """Return them, oldest first. Raises `NotAMember`, `Forbidden`."""
        async with self.units.begin(context) as uow:
            await require(uow, Right.MANAGE_MEMBERS)
            return await _open(uow, Invitation.organization_id == uow.organization_id)


@dataclass(frozen=True, slots=True)
class MyInvitations:
    """The open invitations for the caller's verified address."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Sequence[Invited]:
        """Return them, oldest first."""
        async with self.units.begin(context) as uow:
            user = await _verified(uow)
            return await _open(uow, Invitation.email == user.email.lower())


@dataclass(frozen=True, slots=True)
class AcceptInvitation:
    """Whoever was invited joins."""

    units: UnitsOfWork

    async def __call__(self, context: Context, invitation_id: UUID) -> UUID:
        """Join, and return the organization's id. Raises `UnknownSubject`, `Forbidden`, `PlanLimit`."""
        async with self.units.begin(context) as uow:
            organization_id = (await _mine(uow, invitation_id)).organization_id
        # the organization's row is locked before the invitation's, as by everybody else
        own = Context(str(organization_id), context.user_id, context.correlation_id)
        async with self.units.begin(own) as uow:
            organization = await locked_organization(uow)
            row = await _mine(uow, invitation_id)
            if organization.status != OrganizationStatus.ACTIVE:
                raise Forbidden(f"the organization is {organization.status}")
            await uow.session.delete(row)
            await uow.session.flush()
            await _room_for_one_more(uow, organization)
            values = {"organization_id": organization_id, "user_id": uow.user_id, "role": row.role}
            await uow.session.execute(insert(Membership).values(values).on_conflict_do_nothing())
            audit(uow, "member.joined", ("user", uow.user_id), role=row.role)
        return organization_id


@dataclass(frozen=True, slots=True)
class DeclineInvitation:
    """Whoever was invited does not want to join."""

    units: UnitsOfWork

    async def __call__(self, context: Context, invitation_id: UUID) -> None:
        """Delete the invitation. Raises `UnknownSubject`, `Forbidden`."""
        async with self.units.begin(context) as uow:
            await uow.session.delete(await _mine(uow, invitation_id))


async def _mine(uow: UnitOfWork, invitation_id: UUID) -> Invitation:
    """Load an open invitation for the caller's verified address."""
    user = await _verified(uow)
    row = await uow.session.scalar(
        select(Invitation)
        .where(
            Invitation.id == invitation_id,
            Invitation.email == user.email.lower(),
            Invitation.expires_at > func.clock_timestamp(),
        )
        .with_for_update()
    )
    if row is None:
        raise UnknownSubject(f"there is no invitation {invitation_id}")
    return row


async def _verified(uow: UnitOfWork) -> User:
    user = await uow.session.get(User, uow.user_id)
    if user is None or user.status != UserStatus.ACTIVE:
        raise Forbidden("verify your address first")
    return user


async def _belongs(uow: UnitOfWork, address: str) -> bool:
    found = await uow.session.scalar(
        select(User.id)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == uow.organization_id, func.lower(User.email) == address)
    )
    return found is not None


async def _room_for_one_more(uow: UnitOfWork, organization: Organization, *, besides: str = "") -> None:
    """Count members and open invitations. Raises `PlanLimit`."""
    members = await uow.session.scalar(
        select(func.count()).select_from(Membership).where(Membership.organization_id == organization.id)
    )
    invited = await uow.session.scalar(
        select(func.count())
        .select_from(Invitation)
        .where(
            Invitation.organization_id == organization.id,
            Invitation.email != besides,
            Invitation.expires_at > func.clock_timestamp(),
        )
    )
    most = limits_of(organization.plan).members
    if (members or 0) + (invited or 0) >= most:
        raise PlanLimit(f"the plan {organization.plan} allows {most} members, invited ones included")


async def _open(uow: UnitOfWork, which: ColumnElement[bool]) -> Sequence[Invited]:
    found = await uow.session.execute(
        select(Invitation, Organization.name)
        .join(Organization, Organization.id == Invitation.organization_id)
        .where(
            which,
            Invitation.expires_at > func.clock_timestamp(),
            Organization.status != OrganizationStatus.DELETED,
        )
        .order_by(Invitation.created_at, Invitation.id)
    )
    return [
        Invited(row.id, row.organization_id, name, row.email, Role(row.role), row.expires_at) for row, name in found
    ]
