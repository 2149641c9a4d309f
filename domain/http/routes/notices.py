"""What the caller was told in the application."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, StrictBool, StringConstraints

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, PageWanted, SignedIn
from domain.http.shapes import Model, PageOf, Text, View, page_of, seen
from domain.use_cases.choosing import Preference

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


class NoticePreference(View):
    """How the caller hears of one kind of notice."""

    kind: str
    in_app: bool
    email: bool


class NoticeWish(Model):
    """How the caller wants to hear of one kind of notice from now on."""

    kind: Annotated[Text, StringConstraints(max_length=60), Field(examples=["account_needs_reauth"])]
    in_app: StrictBool
    email: StrictBool = Field(description="That a post was published is never mailed.")


@router.get("/preferences")
async def list_notice_preferences(app: App, caller: SignedIn) -> list[NoticePreference]:
    """List how the caller hears of each kind of notice."""
    return seen(NoticePreference, await app.reading.list_preferences(caller.context))


@keyed.put("/preferences", status_code=204)
async def set_notice_preference(app: App, caller: SignedIn, body: NoticeWish) -> None:
    """Choose how to hear of one kind of notice."""
    await app.identity.set_preference(caller.context, Preference(**body.model_dump()))


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
