"""What the caller was told in the application."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, PageWanted, SignedIn
from domain.http.shapes import PageOf, View, page_of

router = APIRouter(prefix="/me/notices", tags=["me"])
keyed = APIRouter(prefix="/me/notices", tags=["me"], route_class=KeyedRoute)


class Notice(View):
    """Something that the caller was told."""

    id: UUID
    organization_id: UUID
    kind: str = Field(description="What it is about, for programs.", examples=["publish_failed"])
    title: str
    body: str
    link: str | None = Field(description="Where there is more of it.")
    read_at: datetime | None = Field(description="null: not yet.")
    created_at: datetime


@router.get("")
async def list_notices(
    app: App,
    caller: SignedIn,
    wanted: PageWanted,
    *,
    unread: Annotated[bool, Query(description="Only what was not read.")] = False,
) -> PageOf[Notice]:
    """List what the caller was told, of all organizations."""
    return page_of(Notice, await app.reading.list_notices(caller.context, wanted, unread=unread))


@keyed.put("/read", status_code=204)
async def mark_all_notices_read(app: App, caller: SignedIn) -> None:
    """Mark everything as read that there is by now."""
    await app.reading.mark_notices_read(caller.context)


@keyed.put("/{notice_id}/read", status_code=204)
async def mark_notice_read(app: App, caller: SignedIn, notice_id: UUID) -> None:
    """Mark one notice as read."""
    await app.reading.mark_notices_read(caller.context, notice_id)
