"""Accounts on the networks."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from domain.http.browsers import known_browser
from domain.http.keyed import KeyedOutsideRoute
from domain.http.requests import App, Connector, PageWanted, SignedIn, Viewer
from domain.http.shapes import Model, PageOf, Text, View, page_of

_PREFIX = "/organizations/{organization_id}"
router = APIRouter(prefix=f"{_PREFIX}/accounts", tags=["accounts"])
# they ask the networks
outside = APIRouter(prefix=_PREFIX, tags=["accounts"], route_class=KeyedOutsideRoute)
returning = APIRouter(tags=["accounts"], route_class=KeyedOutsideRoute)

_REFUSED: dict[int | str, dict[str, str]] = {409: {"description": "The plan does not allow one more."}}
Server = Annotated[Text, StringConstraints(min_length=1, max_length=253), Field(examples=["mastodon.social"])]


class Account(View):
    """An account on a network. Its credentials are shown to nobody."""

    id: UUID
    provider: str
    base_url: str
    handle: str
    display_name: str
    status: str
    status_reason: str | None
    created_at: datetime


class AccountNumbers(View):
    """The numbers of a day. null: the network does not tell."""

    day: date
    followers: int | None
    following: int | None
    posts: int | None


class Wish(Model):
    """Which network an account is on."""

    provider: Literal["mastodon", "instagram", "linkedin"]
    server: Server | None = Field(default=None, description="Where the network has many: its host.")


class Departure(View):
    """Where the user's browser is to go. It is good once, for some minutes, and for this user alone."""

    url: str
    expires_at: datetime


class Return(Model):
    """What the network's page brought back to the front end's address."""

    state: Annotated[Text, StringConstraints(min_length=1, max_length=500)]
    code: Annotated[Text, StringConstraints(min_length=1, max_length=2000)] | None = None
    error: Annotated[Text, StringConstraints(max_length=500)] | None = None


class AppPassword(Model):
    """A handle on Bluesky and an app password, which is used once and kept nowhere."""

    identifier: Annotated[Text, StringConstraints(min_length=1, max_length=253), Field(examples=["ana.bsky.social"])]
    password: Annotated[Text, StringConstraints(min_length=1, max_length=200)]
    server: Server = "https://bsky.social"


class Connected(View):
    """An account that may be used now."""

    account_id: UUID
    organization_id: UUID
    is_new: bool


class Disconnected(View):
    """We have no credentials any more."""

    taken_back: bool = Field(description="Whether the network has taken the grant back; if not, do it there.")


@outside.post("/connections", status_code=201)
async def start_connecting(app: App, member: Connector, request: Request, response: Response, body: Wish) -> Departure:
    """Begin to connect an account: send the user's browser to the address in the answer."""
    browser = known_browser(request, response, secure=app.accounts.over_tls)
    found = await app.accounts.start_connecting(member.context, body.provider, server=body.server, browser=browser)
    return Departure.model_validate(found)


@returning.post("/account-connections", status_code=201, responses=_REFUSED)
async def finish_connecting(app: App, caller: SignedIn, body: Return) -> Connected:
    """Connect the account, with what the network's page sent back, where the user had begun."""
    found = await app.accounts.finish_connecting(caller.context, state=body.state, code=body.code, error=body.error)
    return Connected.model_validate(found)


@outside.post("/app-passwords", status_code=201, responses=_REFUSED)
async def connect_with_password(app: App, member: Connector, body: AppPassword) -> Connected:
    """Connect an account on Bluesky."""
    found = await app.accounts.connect_with_password(
        member.context, identifier=body.identifier, password=body.password, server=body.server
    )
    return Connected.model_validate(found)


@outside.delete("/accounts/{account_id}")
async def disconnect_account(app: App, member: Connector, account_id: UUID) -> Disconnected:
    """Give an account up; what it was to publish is canceled."""
    return Disconnected(taken_back=await app.accounts.disconnect_account(member.context, account_id))


@router.get("")
async def list_accounts(app: App, member: Viewer, wanted: PageWanted) -> PageOf[Account]:
    """List accounts."""
    return page_of(Account, await app.reading.list_accounts(member.context, wanted))


@router.get("/{account_id}")
async def get_account(app: App, member: Viewer, account_id: UUID) -> Account:
    """Show one account."""
    return Account.model_validate(await app.reading.get_account(member.context, account_id))


@router.get("/{account_id}/metrics")
async def list_account_metrics(
    app: App, member: Viewer, account_id: UUID, wanted: PageWanted
) -> PageOf[AccountNumbers]:
    """List the numbers that the network told, day by day."""
    return page_of(AccountNumbers, await app.reading.list_account_metrics(member.context, account_id, wanted))
