"""What only operators of the platform may do."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import StringConstraints

from domain.http.keyed import KeyedRoute
from domain.http.requests import App, SignedIn
from domain.http.shapes import Model, Text

router = APIRouter(prefix="/operations", tags=["operations"], route_class=KeyedRoute)

_RESPONSES: dict[int | str, dict[str, str]] = {
    403: {"description": "Only operators of the platform may do this."},
    409: {"description": "Not in this state."},
}


class Why(Model):
    """Why it is done; kept with the subject."""

    reason: Annotated[Text, StringConstraints(min_length=1, max_length=500)]


@router.put("/organizations/{subject_id}/suspension", status_code=204, responses=_RESPONSES)
async def suspend_organization(app: App, caller: SignedIn, subject_id: UUID, body: Why) -> None:
    """Stop an organization's work; what is scheduled is paused."""
    await app.identity.suspend_organization(caller.context, subject_id, reason=body.reason)


@router.delete("/organizations/{subject_id}/suspension", status_code=204, responses=_RESPONSES)
async def reinstate_organization(app: App, caller: SignedIn, subject_id: UUID) -> None:
    """Let an organization work again; what has passed meanwhile is missed."""
    await app.identity.reinstate_organization(caller.context, subject_id)


@router.put("/users/{subject_id}/ban", status_code=204, responses=_RESPONSES)
async def ban_user(app: App, caller: SignedIn, subject_id: UUID, body: Why) -> None:
    """Shut somebody out; every session ends with this."""
    await app.identity.ban_user(caller.context, subject_id, reason=body.reason)


@router.delete("/users/{subject_id}/ban", status_code=204, responses=_RESPONSES)
async def reinstate_user(app: App, caller: SignedIn, subject_id: UUID) -> None:
    """Let somebody in again."""
    await app.identity.reinstate_user(caller.context, subject_id)
