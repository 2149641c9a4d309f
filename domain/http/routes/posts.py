"""Posts: written and scheduled in one step, read, compared."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, PageWanted, Publisher, Viewer
from domain.http.routes.publications import Publication
from domain.http.shapes import Model, PageOf, Text, View, WallOrMoment, seen
from domain.use_cases.analytics.similarity import MOST_SIMILAR
from domain.use_cases.reading.posts import WholePost

router = APIRouter(prefix="/organizations/{organization_id}/posts", tags=["posts"], route_class=KeyedRoute)

_LONGEST_BODY = 10_000
_MOST_ACCOUNTS = 50
_MOST_FILES = 20


class NewPost(Model):
    """What is to be said, where, when, and with which files."""

    body: Annotated[Text, StringConstraints(min_length=1, max_length=_LONGEST_BODY), Field(examples=["Bom dia!"])]
    scheduled_at: Annotated[WallOrMoment, Field(examples=["2027-01-31T09:00:00-03:00"])]
    zone: Annotated[Text, StringConstraints(min_length=1, max_length=60)] | None = Field(
        default=None,
        examples=["America/Sao_Paulo"],
        description="With it `scheduled_at` has no zone of its own: it is what the clock on the wall shows there.",
    )
    account_ids: list[UUID] = Field(min_length=1, max_length=_MOST_ACCOUNTS)
    media_ids: list[UUID] = Field(default_factory=list, max_length=_MOST_FILES)


class Scheduled(View):
    """One publication for each account, in the order of `account_ids`."""

    publication_ids: list[UUID]


class Post(View):
    """A post, its files in order, and its publications."""

    id: UUID
    author_id: UUID
    body: str
    media_ids: list[UUID]
    publications: list[Publication]
    created_at: datetime
    updated_at: datetime


class Similar(View):
    """A post and how alike it is: 1 is the same, 0 has nothing in common."""

    post_id: UUID
    similarity: float


@router.post("", status_code=201)
async def schedule_post(app: App, member: Publisher, body: NewPost) -> Scheduled:
    """Store a post and schedule it on one or more accounts. A time that has passed means now."""
    ids = await app.publishing.schedule_post(
        member.context,
        body=body.body,
        scheduled_at=body.scheduled_at,
        zone=body.zone,
        account_ids=body.account_ids,
        media_ids=body.media_ids,
    )
    return Scheduled(publication_ids=ids)


@router.get("")
async def list_posts(app: App, member: Viewer, wanted: PageWanted) -> PageOf[Post]:
    """List posts."""
    found = await app.reading.list_posts(member.context, wanted)
    return PageOf(items=[_shown(each) for each in found.items], next_cursor=found.next_cursor)


@router.get("/{post_id}")
async def get_post(app: App, member: Viewer, post_id: UUID) -> Post:
    """Show one post."""
    return _shown(await app.reading.get_post(member.context, post_id))


@router.get("/{post_id}/similar")
async def similar_posts(
    app: App, member: Viewer, post_id: UUID, limit: Annotated[int, Query(ge=1, le=MOST_SIMILAR)] = 10
) -> list[Similar]:
    """Find the posts that are most like this one, most alike first; none until the text has been looked at."""
    await app.reading.get_post(member.context, post_id)
    return seen(Similar, await app.analytics.similar_posts(member.context, post_id, limit=limit))


def _shown(whole: WholePost) -> Post:
    return Post(
        id=whole.post.id,
        author_id=whole.post.author_id,
        body=whole.post.body,
        media_ids=list(whole.media_ids),
        publications=seen(Publication, whole.publications),
        created_at=whole.post.created_at,
        updated_at=whole.post.updated_at,
    )
