"""Who asks, for which organization, in which chain of operations. FastAPI's dependencies of the routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer

from domain.composition import Application
from domain.http.problems import Refused
from domain.models import Right, Role
from domain.system import SYSTEM
from domain.use_cases.identity.sessions import NotSignedIn
from domain.use_cases.reading.pages import MOST, Wanted
from pgqueue.context import Context

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# A header that browsers never send by themselves: no other site can make a signed-in user's browser write here.
_bearer = HTTPBearer(auto_error=False, scheme_name="session", description="The token that `sign_in` answered with.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a session."""

    user_id: UUID
    status: str
    is_operator: bool
    secret: str = field(repr=False)
    context: Context


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with a session and a role in the organization that the path names."""

    caller: Caller
    role: Role
    context: Context


def application(request: Request) -> Application:
    """Return the use cases that the lifespan opened."""
    return cast("Application", request.app.state.application)


def nobody(request: Request) -> Context:
    """Return the context of a request that has no session: the system's ids, this request's chain."""
    return Context(SYSTEM.organization_id, SYSTEM.user_id, request.state.request_id)


async def caller_of(request: Request) -> Caller:
    """Return who it is, asked for once a request. Raises `NotSignedIn`."""
    known = getattr(request.state, "caller", None)
    if isinstance(known, Caller):
        return known
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise NotSignedIn
    found = await application(request).identity.authenticate(nobody(request), secret=secret.strip())
    context = Context(SYSTEM.organization_id, str(found.user_id), request.state.request_id)
    caller = Caller(found.user_id, found.status, found.is_operator, secret.strip(), context)
    request.state.caller = caller
    return caller


async def context_in(request: Request, organization_id: UUID, right: Right) -> tuple[Context, Role]:
    """Return the context of the caller in an organization, and the role. Raises `NotAMember`, `Forbidden`."""
    caller = await caller_of(request)
    context = Context(str(organization_id), str(caller.user_id), request.state.request_id)
    return context, await application(request).organizations.authorize(context, right)


async def active_caller(request: Request) -> Caller:
    """Return who it is. Who wants to be forgotten may only look at that wish and take it back."""
    caller = await caller_of(request)
    if caller.status != "active":
        raise Refused(403, "account-leaving", "this account is to be deleted; cancel that first")
    return caller


def having(right: Right) -> Callable[..., Awaitable[Member]]:
    """Make the dependency that lets members pass whose role has a right."""

    async def allowed(request: Request, organization_id: Annotated[UUID, Path()], caller: LeavingToo) -> Member:
        context, role = await context_in(request, organization_id, right)
        return Member(caller, role, context)

    return allowed


async def _leaving_too(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    return await caller_of(request)


async def _signed_in(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    return await active_caller(request)


def client_ip(request: Request) -> str | None:
    """Return the client's address if it has one (a socket file has none)."""
    try:
        return str(ipaddress.ip_address(request.client.host)) if request.client else None
    except ValueError:
        return None


def _wanted(
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = 25,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=500, description="`next_cursor` of the page before.")
    ] = None,
) -> Wanted:
    return Wanted(limit, cursor)


App = Annotated[Application, Depends(application)]
Nobody = Annotated[Context, Depends(nobody)]
LeavingToo = Annotated[Caller, Depends(_leaving_too)]
SignedIn = Annotated[Caller, Depends(_signed_in)]
Viewer = Annotated[Member, Depends(having(Right.VIEW))]
Publisher = Annotated[Member, Depends(having(Right.PUBLISH))]
Connector = Annotated[Member, Depends(having(Right.CONNECT))]
MembersManager = Annotated[Member, Depends(having(Right.MANAGE_MEMBERS))]
Payer = Annotated[Member, Depends(having(Right.BILLING))]
Configurer = Annotated[Member, Depends(having(Right.CONFIGURE))]
Ip = Annotated[str | None, Depends(client_ip)]
PageWanted = Annotated[Wanted, Depends(_wanted)]

__all__ = [
    "SAFE",
    "App",
    "Caller",
    "Configurer",
    "Connector",
    "Ip",
    "LeavingToo",
    "Member",
    "MembersManager",
    "Nobody",
    "PageWanted",
    "Payer",
    "Publisher",
    "Right",
    "Role",
    "SignedIn",
    "Viewer",
    "application",
    "caller_of",
    "context_in",
]
