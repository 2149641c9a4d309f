"""Instagram's way in (Business Login): a code, a token for an hour, and that exchanged for one of sixty days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, ValidationError

from domain.gateways.calls import Caller, read
from domain.gateways.connecting import Arrival, Client, Place, Trip, exchange, login_page, refused_grant, set_up
from domain.gateways.instagram import PROVIDER
from domain.gateways.vault import Tokens

if TYPE_CHECKING:
    import httpx

    from domain.gateways.breakers import Breakers

SCOPES = (
    "instagram_business_basic",
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
    "instagram_business_manage_insights",
)


@dataclass(frozen=True, slots=True)
class InstagramAccess:
    """Who we are there, and the two hosts besides the Graph API's own."""

    client: Client
    login_url: str
    token_url: str


class _Short(BaseModel):
    access_token: str


class _Shorts(BaseModel):
    data: list[_Short] = Field(min_length=1)


class _Long(BaseModel):
    access_token: str
    expires_in: float


class _Account(BaseModel):
    user_id: str
    username: str
    name: str = ""
    profile_picture_url: str | None = None


class InstagramDoor:
    """Professional accounts."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: InstagramAccess, *, deadline: timedelta
    ) -> None:
        self._access = access
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=refused_grant)

    async def client(self, place: Place) -> Client:  # noqa: ARG002 - there is one place
        """Return what the operator has set up."""
        return set_up(PROVIDER, self._access.client)

    def address(self, place: Place, client: Client, trip: Trip) -> str:
        """Return the login page. This network knows no PKCE: the state and our secret have to do."""
        return login_page(f"{self._access.login_url}/oauth/authorize", place, client, trip, scope=",".join(SCOPES))

    async def arrive(self, place: Place, client: Client, *, code: str, verifier: str) -> Arrival:  # noqa: ARG002 - see `address`
        """Exchange the code, then the short-lived token."""
        content = exchange(place, client, code=code.removesuffix("#_"))  # some browsers hand over what is appended
        url = f"{self._access.token_url}/oauth/access_token"
        short = _short(await self._call("POST", url, reads=True, data=content))
        # documented as parameters of the address; the composition root keeps httpx from logging addresses
        params = {"grant_type": "ig_exchange_token", "client_secret": client.secret, "access_token": short}
        response = await self._call("GET", f"{place.base_url}/access_token", params=params)
        token = read(_Long, response, "a token")
        account = await self._account(place, token.access_token)
        return Arrival(
            external_id=account.user_id,
            handle=f"@{account.username}",
            tokens=Tokens(token.access_token),
            expires_at=datetime.now(UTC) + timedelta(seconds=token.expires_in),
            display_name=account.name,
            avatar_url=account.profile_picture_url,
            scopes=SCOPES,
        )

    async def _account(self, place: Place, access: str) -> _Account:
        params = {"fields": "user_id,username,name,profile_picture_url"}
        headers = {"Authorization": f"Bearer {access}"}
        response = await self._call("GET", f"{place.base_url}/me", headers=headers, params=params)
        return read(_Account, response, "an account")


def _short(response: httpx.Response) -> str:
    """Read the token for an hour: alone, or as the only one of a list."""
    try:
        return _Short.model_validate_json(response.content).access_token
    except ValidationError:
        pass
    return read(_Shorts, response, "a token").data[0].access_token
