"""The pages to which mailed links lead, for whoever has no front end of their own in that place.

Showing one changes nothing, as programs that look through mails follow links (some with HEAD); its form does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from domain.http.pages import PAGE, fields, form, html
from domain.http.requests import App, Ip, Nobody
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.identity.links import InvalidLink
from domain.use_cases.identity.passwords import LONGEST, SHORTEST, InvalidPassword
from domain.use_cases.identity.sessions import SignedIn, TooManySignIns, WrongCredentials

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)

Secret = Annotated[str, Query(max_length=500, description="What the link carries.")]
_Answers = dict[int | str, dict[str, Any]]
_FORM: Final[_Answers] = {200: {"description": "The form.", **PAGE}}
_DONE: Final[_Answers] = {200: {"description": "It is done.", **PAGE}}
_LINK: Final[_Answers] = {422: {"description": "The link is not good any more, or what was filled in.", **PAGE}}


@router.head("/verify-email", include_in_schema=False)
@router.get("/verify-email", responses=_FORM)
async def show_verification(request: Request, *, secret: Secret = "") -> HTMLResponse:
    """Show a button that proves an address."""
    return html(request, "prove_address", good=None, secret=secret)


@router.post("/verify-email", responses=_DONE | _LINK, openapi_extra=form("secret"))
async def submit_verification(app: App, nobody: Nobody, request: Request) -> HTMLResponse:
    """Prove an address with the secret of the mailed link."""
    [secret] = await fields(request, "secret")
    try:
        await app.identity.verify_email(nobody, secret=secret)
    except InvalidLink:
        return html(request, "prove_address", 422, good=False)
    return html(request, "prove_address", good=True)


@router.head("/reset-password", include_in_schema=False)
@router.get("/reset-password", responses=_FORM)
async def show_password_reset(request: Request, *, secret: Secret = "") -> HTMLResponse:
    """Show a form for a new password."""
    return _new_password(request, secret)


@router.post("/reset-password", responses=_DONE | _LINK, openapi_extra=form("secret", "password"))
async def submit_password_reset(app: App, nobody: Nobody, request: Request) -> HTMLResponse:
    """Choose a new password with the secret of the mailed link. All sessions end."""
    secret, password = await fields(request, "secret", "password")
    try:
        await app.identity.reset_password(nobody, secret=secret, password=password)
    except InvalidPassword as error:
        return _new_password(request, secret, 422, error.code)
    except InvalidLink:
        return html(request, "new_password", 422, good=False)
    return html(request, "new_password", good=True)


@router.head("/invitations/{invitation_id}", include_in_schema=False)
@router.get("/invitations/{invitation_id}", responses=_FORM)
async def show_invitation(request: Request, invitation_id: UUID) -> HTMLResponse:  # noqa: ARG001 - who asks learns nothing
    """Show a form to join an organization or not. It tells nobody whether there is such an invitation."""
    return html(request, "invitation", good=None, said="")


@router.post(
    "/invitations/{invitation_id}",
    responses=_DONE
    | {
        403: {"description": "Address or password are wrong, or somebody is not active.", **PAGE},
        404: {"description": "There is no such invitation for this address.", **PAGE},
        409: {"description": "The plan does not allow one more member.", **PAGE},
        429: {"description": "Too many tries for this address or from here.", **PAGE},
    },
    openapi_extra=form("email", "password", "answer"),
)
async def submit_invitation(app: App, nobody: Nobody, ip: Ip, request: Request, invitation_id: UUID) -> HTMLResponse:
    """Join an organization, or decline, as whoever signs in with the form. The session ends with the answer."""
    email, password, answer = await fields(request, "email", "password", "answer")
    agent = request.headers.get("User-Agent")
    try:
        session = await app.identity.sign_in(nobody, email=email, password=password, ip=ip, user_agent=agent)
    except WrongCredentials:
        return html(request, "invitation", 403, good=None, said="credentials")
    except TooManySignIns as error:
        wait = {"Retry-After": str(max(1, math.ceil(error.wait.total_seconds())))}
        return html(request, "invitation", 429, good=None, headers=wait, said="often")
    try:
        return await _answered(app, nobody, request, invitation_id, session, joins=answer != "decline")
    finally:
        await app.identity.sign_out(nobody, secret=session.secret)


async def _answered(
    app: App, nobody: Nobody, request: Request, invitation_id: UUID, session: SignedIn, *, joins: bool
) -> HTMLResponse:
    context = replace(nobody, user_id=str(session.user_id))
    answer = app.organizations.accept_invitation if joins else app.organizations.decline_invitation
    try:
        await answer(context, invitation_id)
    except UnknownSubject:
        return html(request, "invitation", 404, good=False, said="unknown")
    except Forbidden:
        return html(request, "invitation", 403, good=False, said="forbidden")
    except PlanLimit:
        return html(request, "invitation", 409, good=False, said="plan")
    return html(request, "invitation", good=True, said="joined" if joins else "declined")


def _new_password(request: Request, secret: str, status: int = 200, fault: str = "") -> HTMLResponse:
    return html(
        request,
        "new_password",
        status,
        good=None,
        secret=secret,
        fault=fault,
        shortest=SHORTEST,
        longest=LONGEST,
    )
