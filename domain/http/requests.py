"""Who asks, for which organization, in which chain of operations. FastAPI's dependencies of the routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer

from domain.app import Application
from domain.http.problems import Refused
from domain.schedules import SYSTEM
from domain.use_cases.identity.sessions import NotSignedIn
from domain.use_cases.reading.membership import Belonging
from domain.use_cases.reading.pages import MOST, Wanted
from pgqueue.context import Context

Role = Literal["viewer", "editor", "admin", "owner"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin", "owner")
"""Each may do what those before it may."""
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
    belonging: Belonging
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


async def member_of(request: Request, organization_id: UUID) -> Member:
    """Return the caller's place in an organization, asked for once. Raises `NotFound` for everybody who has none."""
    known = getattr(request.state, "member", None)
    if isinstance(known, Member):
        return known
    caller = await active_caller(request)
    context = Context(str(organization_id), str(caller.user_id), request.state.request_id)
    member = Member(caller, await application(request).reading.find_membership(context), context)
    request.state.member = member
    return member


async def active_caller(request: Request) -> Caller:
    """Return who it is. Who wants to be forgotten may only look at that wish and take it back."""
    caller = await caller_of(request)
    if caller.status != "active":
        raise Refused(403, "account-leaving", "this account is to be deleted; cancel that first")
    return caller


def at_least(least: Role) -> Callable[..., Awaitable[Member]]:
    """Make the dependency that lets members with this role or a higher one pass."""

    async def allowed(request: Request, organization_id: Annotated[UUID, Path()], _: LeavingToo) -> Member:
        member = await member_of(request, organization_id)
        role = member.belonging.role
        if ROLES.index(cast("Role", role)) < ROLES.index(least):
            raise Refused(403, "role", f"this takes the role {least} in the organization; yours is {role}")
        status = member.belonging.organization.status
        if request.method not in SAFE and status != "active":
            raise Refused(403, "organization-not-active", f"the organization is {status}; it can be read only")
        return member

    allowed.__doc__ = f"Needs the role {least}."
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
Viewer = Annotated[Member, Depends(at_least("viewer"))]
Editor = Annotated[Member, Depends(at_least("editor"))]
Admin = Annotated[Member, Depends(at_least("admin"))]
Owner = Annotated[Member, Depends(at_least("owner"))]
Ip = Annotated[str | None, Depends(client_ip)]
PageWanted = Annotated[Wanted, Depends(_wanted)]
