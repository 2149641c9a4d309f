"""Posts and their publications: ListPosts, GetPost, ListPublications and GetPublication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import Post, PostMedia, ScheduledPost
from domain.use_cases.reading.pages import NotFound, Page, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class WholePost:
    """A post, its files in their order, and where it is to appear."""

    post: Post
    media_ids: Sequence[UUID]
    publications: Sequence[ScheduledPost]


@dataclass(frozen=True, slots=True)
class ListPosts:
    """The posts of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[WholePost]:
        """Return a page with files and publications: three statements, however long it is."""
        async with self.units.begin(context) as uow:
            query = select(Post).where(Post.organization_id == uow.organization_id, Post.deleted_at.is_(None))
            found = await page(uow, query, [Post.id], wanted)
            return Page(await _whole(uow, found.items), found.next_cursor)


@dataclass(frozen=True, slots=True)
class GetPost:
    """One post."""

    units: UnitsOfWork

    async def __call__(self, context: Context, post_id: UUID) -> WholePost:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            post = await uow.session.scalar(
                select(Post).where(
                    Post.organization_id == uow.organization_id, Post.id == post_id, Post.deleted_at.is_(None)
                )
            )
            if post is None:
                raise NotFound(f"there is no post {post_id} in this organization")
            [whole] = await _whole(uow, [post])
            return whole


@dataclass(frozen=True, slots=True)
class ListPublications:
    """What is published, and what is to be."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted, *, status: str | None = None) -> Page[ScheduledPost]:
        """Return a page; with ``status`` only those in that state."""
        async with self.units.begin(context) as uow:
            query = select(ScheduledPost).where(ScheduledPost.organization_id == uow.organization_id)
            if status is not None:
                query = query.where(ScheduledPost.status == status)
            return await page(uow, query, [ScheduledPost.scheduled_at, ScheduledPost.id], wanted)


@dataclass(frozen=True, slots=True)
class GetPublication:
    """One post on one account."""

    units: UnitsOfWork

    async def __call__(self, context: Context, publication_id: UUID) -> ScheduledPost:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            return await the_publication(uow, publication_id)


async def the_publication(uow: UnitOfWork, publication_id: UUID) -> ScheduledPost:
    """Load a publication of this organization. Raises `NotFound`."""
    row = await uow.session.scalar(
        select(ScheduledPost).where(
            ScheduledPost.organization_id == uow.organization_id, ScheduledPost.id == publication_id
        )
    )
    if row is None:
        raise NotFound(f"there is no publication {publication_id} in this organization")
    return row


async def _whole(uow: UnitOfWork, posts: Sequence[Post]) -> list[WholePost]:
    ids = [post.id for post in posts]
    files: dict[UUID, list[UUID]] = {}
    for post_id, media_id in await uow.session.execute(
        select(PostMedia.post_id, PostMedia.media_id)
        .where(PostMedia.organization_id == uow.organization_id, PostMedia.post_id.in_(ids))
        .order_by(PostMedia.post_id, PostMedia.position)
    ):
        files.setdefault(post_id, []).append(media_id)
    publications: dict[UUID, list[ScheduledPost]] = {}
    for row in await uow.session.scalars(
        select(ScheduledPost)
        .where(ScheduledPost.organization_id == uow.organization_id, ScheduledPost.post_id.in_(ids))
        .order_by(ScheduledPost.id)
    ):
        publications.setdefault(row.post_id, []).append(row)
    return [WholePost(post, files.get(post.id, []), publications.get(post.id, [])) for post in posts]
