"""What is the caller's own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, Ip, LeavingToo, SignedIn
from domain.http.routes.identity import Credentials
from domain.http.routes.organizations import Invitation
from domain.http.shapes import Accepted, View, seen

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


class Joined(View):
    """The organization that the caller belongs to from now on."""

    organization_id: UUID


class Deletion(View):
    """The wish to be forgotten."""

    id: UUID


@router.get("")
async def who_am_i(app: App, caller: LeavingToo) -> Me:
    """Show who the session belongs to."""
    return Me.model_validate(await app.reading.who_am_i(caller.context))


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


@router.get("/invitations")
async def list_my_invitations(app: App, caller: SignedIn) -> list[Invitation]:
    """List the open invitations for the caller's verified address."""
    return seen(Invitation, await app.organizations.my_invitations(caller.context))


@keyed.post("/invitations/{invitation_id}/accept")
async def accept_invitation(app: App, caller: SignedIn, invitation_id: UUID) -> Joined:
    """Join the organization."""
    return Joined(organization_id=await app.organizations.accept_invitation(caller.context, invitation_id))


@keyed.delete("/invitations/{invitation_id}", status_code=204)
async def decline_invitation(app: App, caller: SignedIn, invitation_id: UUID) -> None:
    """Do not join."""
    await app.organizations.decline_invitation(caller.context, invitation_id)
