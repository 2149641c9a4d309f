"""Accounts on the networks: ListAccounts and GetAccount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import SocialAccount
from domain.use_cases.reading.pages import NotFound, Page, page

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class ListAccounts:
    """The accounts of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[SocialAccount]:
        """Return a page, newest first."""
        async with self.units.begin(context) as uow:
            query = select(SocialAccount).where(SocialAccount.organization_id == uow.organization_id)
            return await page(uow, query, [SocialAccount.id], wanted)


@dataclass(frozen=True, slots=True)
class GetAccount:
    """One account."""

    units: UnitsOfWork

    async def __call__(self, context: Context, account_id: UUID) -> SocialAccount:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            return await the_account(uow, account_id)


async def the_account(uow: UnitOfWork, account_id: UUID) -> SocialAccount:
    """Load an account of this organization. Raises `NotFound`."""
    row = await uow.session.scalar(
        select(SocialAccount).where(
            SocialAccount.organization_id == uow.organization_id, SocialAccount.id == account_id
        )
    )
    if row is None:
        raise NotFound(f"there is no account {account_id} in this organization")
    return row
