"""Files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import StringConstraints

from domain.http.keyed import KeyedUploadRoute
from domain.http.requests import App, PageWanted, Publisher, Viewer
from domain.http.shapes import PageOf, Text, View, page_of
from domain.use_cases.media.inspecting import ANYTHING, TAKEN, inspected

router = APIRouter(prefix="/organizations/{organization_id}/media", tags=["media"], route_class=KeyedUploadRoute)

_FILE = {"schema": {"type": "string", "format": "binary"}}


class Uploaded(View):
    """A file that is stored and waits for its scan."""

    id: UUID


class Media(View):
    """An uploaded file. Only one that is `clean` can be published."""

    id: UUID
    filename: str
    detected_type: str | None
    byte_size: int
    width: int | None
    height: int | None
    duration_ms: int | None
    scan_status: Literal["pending", "clean", "infected", "rejected"]
    thumbnail_status: Literal["none", "ready", "unsupported", "failed"]
    created_at: datetime


@router.post(
    "",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys((*TAKEN, ANYTHING), _FILE)}},
    responses={
        415: {"description": "A type that is not taken, or another one than the Content-Type says."},
    },
)
async def upload_media(
    app: App,
    member: Publisher,
    request: Request,
    filename: Annotated[Text, StringConstraints(min_length=1, max_length=255), Query(examples=["pão.jpg"])],
) -> Uploaded:
    """Upload a file: the body is the file itself. Its first bytes decide what it is, and then a scan."""
    request.state.most_bytes = None  # the use case knows how much room there is
    declared = request.headers.get("Content-Type", "")
    media_id = await app.media.register_upload(
        member.context, filename=filename, declared_type=declared, chunks=inspected(request.stream(), declared)
    )
    return Uploaded(id=media_id)


@router.get("")
async def list_media(app: App, member: Viewer, wanted: PageWanted) -> PageOf[Media]:
    """List files."""
    return page_of(Media, await app.reading.list_media(member.context, wanted))


@router.get("/{media_id}")
async def get_media(app: App, member: Viewer, media_id: UUID) -> Media:
    """Show one file, and what the scan says of it."""
    return Media.model_validate(await app.reading.get_media(member.context, media_id))
