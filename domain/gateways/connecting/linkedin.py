"""LinkedIn's way in: OAuth with our secret, and whose it is by OpenID."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel

from domain.gateways.calls import Caller, read
from domain.gateways.connecting import Arrival, Client, Place, Trip, exchange, login_page, refused_grant, set_up
from domain.gateways.linkedin import PROVIDER
from domain.gateways.vault import Tokens

if TYPE_CHECKING:
    import httpx

    from domain.gateways.breakers import Breakers


@dataclass(frozen=True, slots=True)
class LinkedInAccess:
    """Who we are there, the host that users sign in on, and what we ask them for."""

    client: Client
    login_url: str
    scopes: str


class _Token(BaseModel):
    access_token: str
    expires_in: float
    refresh_token: str | None = None
    scope: str = ""


class _Member(BaseModel):
    sub: str
    name: str = ""
    picture: str | None = None


class LinkedInDoor:
    """Members."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: LinkedInAccess, *, deadline: timedelta
    ) -> None:
        self._access = access
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=refused_grant)

    async def client(self, place: Place) -> Client:  # noqa: ARG002 - there is one place
        """Return what the operator has set up."""
        return set_up(PROVIDER, self._access.client)

    def address(self, place: Place, client: Client, trip: Trip) -> str:
        """Return the login page. PKCE is for native applications here: the state and our secret have to do."""
        page = f"{self._access.login_url}/oauth/v2/authorization"
        return login_page(page, place, client, trip, scope=self._access.scopes)

    async def arrive(self, place: Place, client: Client, *, code: str, verifier: str) -> Arrival:  # noqa: ARG002 - see `address`
        """Exchange the code; the token lives for sixty days, and then the user connects again."""
        url = f"{self._access.login_url}/oauth/v2/accessToken"
        response = await self._call("POST", url, reads=True, data=exchange(place, client, code=code))
        token = read(_Token, response, "a token")
        headers = {"Authorization": f"Bearer {token.access_token}"}
        response = await self._call("GET", f"{place.base_url}/v2/userinfo", headers=headers)
        member = read(_Member, response, "a member")
        return Arrival(
            external_id=f"urn:li:person:{member.sub}",
            handle=member.name or member.sub,
            tokens=Tokens(token.access_token, token.refresh_token),
            expires_at=datetime.now(UTC) + timedelta(seconds=token.expires_in),
            display_name=member.name,
            avatar_url=member.picture,
            scopes=tuple(token.scope.replace(",", " ").split()),
        )
