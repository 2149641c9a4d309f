"""Organizations, their members, and invitations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StrictBool, StringConstraints

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, Configurer, MembersManager, Role, SignedIn, Viewer
from domain.http.routes.identity import Email
from domain.http.shapes import Model, Text, View, seen

router = APIRouter(prefix="/organizations", tags=["organizations"], route_class=KeyedRoute)
inside = APIRouter(prefix="/organizations/{organization_id}", tags=["organizations"], route_class=KeyedRoute)

Name = Annotated[Text, StringConstraints(min_length=1, max_length=200), Field(examples=["Aurora"])]
Zone = Annotated[Text, StringConstraints(min_length=1, max_length=60), Field(examples=["America/Sao_Paulo"])]
Language = Annotated[Text, StringConstraints(min_length=1, max_length=35), Field(examples=["pt-BR"])]


class NewOrganization(Model):
    """What is to be founded."""

    name: Name
    timezone: Zone = "UTC"
    locale: Language = "pt-BR"


class Changes(Model):
    """What is to be different; what is left out stays."""

    name: Name | None = None
    timezone: Zone | None = None
    locale: Language | None = None
    retry_after_reconnect: StrictBool | None = Field(
        default=None, description="Publish what failed in the last day when its account is connected again."
    )


class OrganizationId(View):
    """The organization that was founded."""

    id: UUID


class Organization(View):
    """An organization as one of its members sees it."""

    id: UUID = Field(validation_alias="organization_id")
    name: str
    slug: str
    timezone: str
    locale: str
    status: str
    plan: str
    retry_after_reconnect: bool
    role: Role
    created_at: datetime


class Member(View):
    """Somebody who belongs to the organization."""

    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime


class NewRole(Model):
    """What somebody may do from now on."""

    role: Role


class NewInvitation(Model):
    """Who may join, and as what."""

    email: Email
    role: Role


class InvitationId(View):
    """The invitation."""

    id: UUID
    link: str = Field(description="Hand it on: we mail it to nobody who has no account. It holds no secret.")


class Invitation(View):
    """An open invitation. Whoever has verified the address finds it under `/me/invitations`."""

    id: UUID = Field(validation_alias="invitation_id")
    organization_id: UUID
    organization: str
    email: str
    role: Role
    expires_at: datetime


@router.post("", status_code=201)
async def create_organization(app: App, caller: SignedIn, body: NewOrganization) -> OrganizationId:
    """Found an organization; the caller owns it."""
    organization_id = await app.organizations.create_organization(
        caller.context, name=body.name, timezone=body.timezone, locale=body.locale
    )
    return OrganizationId(id=organization_id)


@router.get("")
async def list_organizations(app: App, caller: SignedIn) -> list[Organization]:
    """List the organizations that the caller belongs to."""
    return seen(Organization, await app.organizations.list_organizations(caller.context))


@inside.get("")
async def get_organization(app: App, member: Viewer) -> Organization:
    """Show one organization."""
    return Organization.model_validate(await app.organizations.get_organization(member.context))


@inside.patch("", status_code=204)
async def change_organization(app: App, member: Configurer, body: Changes) -> None:
    """Change how an organization is called and where it lives."""
    await app.organizations.change_organization(member.context, **body.model_dump())


@inside.post("/leave", status_code=204)
async def leave_organization(app: App, member: Viewer) -> None:
    """Leave; its last owner cannot."""
    await app.organizations.leave_organization(member.context)


@inside.get("/members")
async def list_members(app: App, member: Viewer) -> list[Member]:
    """List who belongs to it, the oldest members first."""
    return seen(Member, await app.organizations.list_members(member.context))


@inside.patch("/members/{user_id}", status_code=204)
async def change_role(app: App, member: MembersManager, user_id: UUID, body: NewRole) -> None:
    """Give somebody another role, as far up as the own one reaches."""
    await app.organizations.change_role(member.context, user_id, body.role)


@inside.delete("/members/{user_id}", status_code=204)
async def remove_member(app: App, member: MembersManager, user_id: UUID) -> None:
    """Send somebody away; what they wrote and connected stays."""
    await app.organizations.remove_member(member.context, user_id)


@inside.post("/invitations", status_code=201)
async def invite_member(app: App, member: MembersManager, body: NewInvitation) -> InvitationId:
    """Invite an address, in place of an earlier invitation for it."""
    invite = app.organizations.invite_member
    invitation_id = await invite(member.context, email=body.email, role=body.role)
    return InvitationId(id=invitation_id, link=invite.link(invitation_id))


@inside.get("/invitations")
async def list_invitations(app: App, member: MembersManager) -> list[Invitation]:
    """List open invitations."""
    return seen(Invitation, await app.organizations.list_invitations(member.context))


@inside.delete("/invitations/{invitation_id}", status_code=204)
async def withdraw_invitation(app: App, member: MembersManager, invitation_id: UUID) -> None:
    """Take an invitation back."""
    await app.organizations.withdraw_invitation(member.context, invitation_id)
