"""CreateOrganization, ChangeOrganization, ListOrganizations and GetOrganization."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from sqlalchemy import func, select

from domain.models import Membership, Organization, OrganizationStatus, Right, Role, User, UserStatus, new_id
from domain.use_cases.administration.operators import Forbidden
from domain.use_cases.administration.suspension import locked_organization
from domain.use_cases.administration.users import locked_user
from domain.use_cases.auditing import audit
from domain.use_cases.organizations.authorizing import require
from pgqueue import Context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork

MOST_FOUNDED = 10
LOCALES = ("pt-BR", "en")
_LONGEST_NAME = 200
_LONGEST_SLUG = 40
_NOT_IN_SLUGS = re.compile(r"[^a-z0-9]+")


class InvalidOrganization(Exception):
    """Details that no organization can have; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An organization as one of its members sees it."""

    organization_id: UUID
    name: str
    slug: str
    timezone: str
    locale: str
    status: str
    plan: str
    retry_after_reconnect: bool
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """Somebody founds an organization, and owns it."""

    units: UnitsOfWork

    async def __call__(self, context: Context, *, name: str, timezone: str = "UTC", locale: str = "pt-BR") -> UUID:
        """Store it and return its id. Raises `InvalidOrganization`, `Forbidden`."""
        name, timezone, locale = checked_name(name), checked_timezone(timezone), checked_locale(locale)
        organization_id = new_id()
        own = Context(str(organization_id), context.user_id, context.correlation_id)
        async with self.units.begin(own) as uow:
            # the lock makes two requests at once count each other
            founder = await locked_user(uow, uow.user_id)
            if founder.status != UserStatus.ACTIVE:
                raise Forbidden("verify your address first")
            if await _owned(uow, founder) >= MOST_FOUNDED:
                raise Forbidden(f"nobody may own more than {MOST_FOUNDED} organizations")
            slug = _slug(name, organization_id)
            uow.session.add(Organization(id=organization_id, name=name, slug=slug, timezone=timezone, locale=locale))
            await uow.session.flush()
            uow.session.add(Membership(organization_id=organization_id, user_id=founder.id, role=Role.OWNER))
            audit(uow, "organization.created", ("organization", organization_id))
        return organization_id


@dataclass(frozen=True, slots=True)
class ChangeOrganization:
    """Somebody changes how an organization is called and where it lives."""

    units: UnitsOfWork

    async def __call__(
        self,
        context: Context,
        *,
        name: str | None = None,
        timezone: str | None = None,
        locale: str | None = None,
        retry_after_reconnect: bool | None = None,
    ) -> None:
        """Change what is given. Raises `InvalidOrganization`, `NotAMember`, `Forbidden`."""
        async with self.units.begin(context) as uow:
            await require(uow, Right.CONFIGURE)
            row = await locked_organization(uow)
            if name is not None:
                row.name = checked_name(name)
            if timezone is not None:
                row.timezone = checked_timezone(timezone)
            if locale is not None:
                row.locale = checked_locale(locale)
            if retry_after_reconnect is not None:
                row.retry_after_reconnect = retry_after_reconnect
            audit(uow, "organization.changed", ("organization", row.id))


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """The organizations that somebody belongs to."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Sequence[Standing]:
        """Return them, oldest first; the context's organization does not matter."""
        async with self.units.begin(context) as uow:
            found = await uow.session.execute(
                select(Organization, Membership.role)
                .join(Membership, Membership.organization_id == Organization.id)
                .where(Membership.user_id == uow.user_id, Organization.status != OrganizationStatus.DELETED)
                .order_by(Organization.created_at, Organization.id)
            )
            return [_standing(row, Role(role)) for row, role in found]


@dataclass(frozen=True, slots=True)
class GetOrganization:
    """One organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context) -> Standing:
        """Return it. Raises `NotAMember`."""
        async with self.units.begin(context) as uow:
            role = await require(uow, Right.VIEW)
            return _standing(await uow.session.get_one(Organization, uow.organization_id), role)


def checked_name(name: str) -> str:
    """Return a name as it is stored. Raises `InvalidOrganization`."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in name).split())
    if not plain or len(plain) > _LONGEST_NAME:
        raise InvalidOrganization(f"the name has to have 1 to {_LONGEST_NAME} characters")
    return plain


def checked_timezone(name: str) -> str:
    """Return a known time zone. Raises `InvalidOrganization`."""
    if name not in available_timezones():
        raise InvalidOrganization(f"unknown time zone {name[:60]!r}; write it like America/Sao_Paulo")
    return name


def checked_locale(name: str) -> str:
    """Return a language that our texts are in. Raises `InvalidOrganization`."""
    if name not in LOCALES:
        raise InvalidOrganization(f"unknown language {name[:60]!r}; known are {', '.join(LOCALES)}")
    return name


def _slug(name: str, organization_id: UUID) -> str:
    """Make a name for addresses; the end of the id keeps two of one name apart."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = _NOT_IN_SLUGS.sub("-", plain).strip("-")[:_LONGEST_SLUG].strip("-")
    return f"{words or 'organization'}-{organization_id.hex[-10:]}"


def _standing(row: Organization, role: Role) -> Standing:
    return Standing(
        organization_id=row.id,
        name=row.name,
        slug=row.slug,
        timezone=row.timezone,
        locale=row.locale,
        status=row.status,
        plan=row.plan,
        retry_after_reconnect=row.retry_after_reconnect,
        role=role,
        created_at=row.created_at,
    )


async def _owned(uow: UnitOfWork, founder: User) -> int:
    found = await uow.session.scalar(
        select(func.count())
        .select_from(Membership)
        .join(Organization, Organization.id == Membership.organization_id)
        .where(
            Membership.user_id == founder.id,
            Membership.role == Role.OWNER,
            Organization.status != OrganizationStatus.DELETED,
        )
    )
    return found or 0
