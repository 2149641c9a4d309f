"""What is the caller's own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, Ip, LeavingToo, PageWanted, SignedIn
from domain.http.routes.identity import Credentials
from domain.http.shapes import Accepted, PageOf, View

router = APIRouter(prefix="/me", tags=["me"])
keyed = APIRouter(prefix="/me", tags=["me"], route_class=KeyedRoute)


class Me(View):
    """The caller."""

    id: UUID
    email: str
    pending_email: str | None = Field(description="Asked for, and not verified yet.")
    name: str
    locale: str
    status: str
    is_operator: bool
    deletion_due_at: datetime | None
    created_at: datetime


class MyOrganization(View):
    """An organization, and the caller's role in it."""

    id: UUID
    name: str
    slug: str
    role: str
    status: str
    plan: str
    timezone: str


class Deletion(View):
    """The wish to be forgotten."""

    id: UUID


@router.get("")
async def who_am_i(app: App, caller: LeavingToo) -> Me:
    """Show who the session belongs to."""
    return Me.model_validate(await app.reading.who_am_i(caller.context))


@router.get("/organizations")
async def list_my_organizations(app: App, caller: SignedIn, wanted: PageWanted) -> PageOf[MyOrganization]:
    """List the organizations that the caller is in."""
    found = await app.reading.list_organizations(caller.context, wanted)
    items = [
        MyOrganization(
            id=each.organization.id,
            name=each.organization.name,
            slug=each.organization.slug,
            role=each.role,
            status=each.organization.status,
            plan=each.organization.plan,
            timezone=each.organization.timezone,
        )
        for each in found.items
    ]
    return PageOf(items=items, next_cursor=found.next_cursor)


@keyed.post(
    "/email-changes", status_code=202, responses={429: {"description": "Too many mails to this address or from here."}}
)
async def change_email(app: App, caller: SignedIn, ip: Ip, body: Credentials) -> Accepted:
    """Ask for another address, with the present password. It counts once the mailed link was opened."""
    await app.identity.change_email(caller.context, email=body.email, password=body.password, ip=ip)
    return Accepted()


@keyed.post("/deletion", status_code=202)
async def request_account_deletion(app: App, caller: SignedIn) -> Deletion:
    """Ask to be forgotten in thirty days. All sessions end; sign in again to cancel."""
    return Deletion(id=await app.identity.request_account_deletion(caller.context))


@keyed.delete("/deletion", status_code=204, responses={404: {"description": "Nobody asked for it."}})
async def cancel_account_deletion(app: App, caller: LeavingToo) -> None:
    """Stay."""
    await app.identity.cancel_account_deletion(caller.context)
