"""Who may do what where: FindMembership, ListOrganizations, and WhoAmI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from domain.models import Membership, Organization, OrganizationStatus, User
from domain.use_cases.reading.pages import NotFound, Page, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class Belonging:
    """An organization as one of its members sees it."""

    organization: Organization
    role: str


@dataclass(frozen=True, slots=True)
class FindMembership:
    """Look up the caller's role in the context's organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Belonging:
        """Return it. Raises `NotFound`, whether there is no such organization or the caller is not in it."""
        async with self.units.begin(context) as uow:
            found = await uow.session.execute(
                select(Organization, Membership.role)
                .join(Membership, Membership.organization_id == Organization.id)
                .where(
                    Organization.id == uow.organization_id,
                    Organization.status != OrganizationStatus.DELETED,
                    Membership.user_id == uow.user_id,
                )
            )
            row = found.one_or_none()
            if row is None:
                raise NotFound(f"there is no organization {context.organization_id}")
            return Belonging(*row)


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """The organizations that the caller is in."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[Belonging]:
        """Return a page, newest first."""
        async with self.units.begin(context) as uow:
            query = (
                select(Organization)
                .join(Membership, Membership.organization_id == Organization.id)
                .where(Membership.user_id == uow.user_id, Organization.status != OrganizationStatus.DELETED)
            )
            found = await page(uow, query, [Organization.id], wanted)
            mine = await uow.session.execute(
                select(Membership.organization_id, Membership.role).where(
                    Membership.user_id == uow.user_id, Membership.organization_id.in_([row.id for row in found.items])
                )
            )
            roles: dict[UUID, str] = dict(mine.all())
            items: Sequence[Belonging] = [Belonging(row, roles[row.id]) for row in found.items]
            return Page(items, found.next_cursor)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The caller's own data."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> User:
        """Return them. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            user = await uow.session.get(User, uow.user_id)
            if user is None:
                raise NotFound("there is no such user")
            return user


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Find out whether the database answers."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> None:
        """Return if it does; raise what the driver raises if it does not."""
        async with self.units.begin(context) as uow:
            await uow.session.execute(text("SELECT 1"))
