"""Publications: one post on one account, what became of it, and what people say."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StrictBool

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, PageWanted, Publisher, Viewer
from domain.http.shapes import Model, PageOf, View, page_of

router = APIRouter(
    prefix="/organizations/{organization_id}/publications", tags=["publications"], route_class=KeyedRoute
)

Status = Literal[
    "scheduled",
    "dispatched",
    "publishing",
    "processing",
    "published",
    "failed",
    "unconfirmed",
    "paused",
    "missed",
    "canceled",
]


class Publication(View):
    """One post on one account."""

    id: UUID
    post_id: UUID
    social_account_id: UUID
    status: Status
    scheduled_at: datetime
    published_at: datetime | None
    permalink: str | None
    failure_code: str | None
    failure_message: str | None
    paused_reason: str | None
    retry_no: int


class Retry(Model):
    """How to try again."""

    force: StrictBool = Field(
        default=False,
        description="Publish although an earlier try may have worked: a human takes the risk of a second post.",
    )


class Comment(View):
    """What somebody answered."""

    id: UUID
    author_handle: str
    body_text: str
    permalink: str | None
    posted_at: datetime
    edited_at: datetime | None
    is_own: bool


class PostNumbers(View):
    """The numbers at a moment. null: the network does not tell."""

    captured_at: datetime
    impressions: int | None
    likes: int | None
    reposts: int | None
    replies: int | None


@router.get("")
async def list_publications(
    app: App, member: Viewer, wanted: PageWanted, status: Status | None = None
) -> PageOf[Publication]:
    """List publications, those farthest in the future first."""
    return page_of(Publication, await app.reading.list_publications(member.context, wanted, status=status))


@router.get("/{publication_id}")
async def get_publication(app: App, member: Viewer, publication_id: UUID) -> Publication:
    """Show one publication."""
    return Publication.model_validate(await app.reading.get_publication(member.context, publication_id))


@router.post("/{publication_id}/retry", status_code=202)
async def retry_publication(
    app: App, member: Publisher, publication_id: UUID, body: Retry | None = None
) -> Publication:
    """Try a failed or unconfirmed publication again."""
    force = body is not None and body.force
    await app.publishing.retry_publication(member.context, publication_id, force=force)
    return Publication.model_validate(await app.reading.get_publication(member.context, publication_id))


@router.get("/{publication_id}/comments")
async def list_comments(app: App, member: Viewer, publication_id: UUID, wanted: PageWanted) -> PageOf[Comment]:
    """List what people answered on the network."""
    return page_of(Comment, await app.reading.list_comments(member.context, publication_id, wanted))


@router.get("/{publication_id}/metrics")
async def list_post_metrics(app: App, member: Viewer, publication_id: UUID, wanted: PageWanted) -> PageOf[PostNumbers]:
    """List the numbers that the network told, over time."""
    return page_of(PostNumbers, await app.reading.list_post_metrics(member.context, publication_id, wanted))
