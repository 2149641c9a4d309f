"""What the networks told: ListComments, ListPostMetrics and ListAccountMetrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import AccountMetrics, Comment, PostMetrics
from domain.use_cases.reading.accounts import the_account
from domain.use_cases.reading.pages import Page, page
from domain.use_cases.reading.posts import the_publication

if TYPE_CHECKING:
    from uuid import UUID

    from domain.unit_of_work import UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class ListComments:
    """What people answered to a publication."""

    units: UnitsOfWork

    async def __call__(self, context: Context, publication_id: UUID, wanted: Wanted) -> Page[Comment]:
        """Return a page of those that are still there, newest first. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            publication = await the_publication(uow, publication_id)
            query = select(Comment).where(
                Comment.organization_id == uow.organization_id,
                Comment.scheduled_post_id == publication.id,
                Comment.removed_at.is_(None),
            )
            return await page(uow, query, [Comment.posted_at, Comment.id], wanted)


@dataclass(frozen=True, slots=True)
class ListPostMetrics:
    """The numbers of a publication over time."""

    units: UnitsOfWork

    async def __call__(self, context: Context, publication_id: UUID, wanted: Wanted) -> Page[PostMetrics]:
        """Return a page, newest first. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            publication = await the_publication(uow, publication_id)
            query = select(PostMetrics).where(
                PostMetrics.organization_id == uow.organization_id, PostMetrics.scheduled_post_id == publication.id
            )
            return await page(uow, query, [PostMetrics.bucket], wanted)


@dataclass(frozen=True, slots=True)
class ListAccountMetrics:
    """The numbers of an account day by day."""

    units: UnitsOfWork

    async def __call__(self, context: Context, account_id: UUID, wanted: Wanted) -> Page[AccountMetrics]:
        """Return a page, newest first. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            account = await the_account(uow, account_id)
            query = select(AccountMetrics).where(
                AccountMetrics.organization_id == uow.organization_id, AccountMetrics.social_account_id == account.id
            )
            return await page(uow, query, [AccountMetrics.day], wanted)
