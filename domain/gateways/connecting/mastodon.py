"""Mastodon's way in: we register on each server that somebody names, then OAuth with PKCE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from domain.gateways.calls import Caller, read
from domain.gateways.connecting import Arrival, Client, Place, Trip, exchange, login_page, refused_grant
from domain.gateways.failures import GatewayError
from domain.gateways.mastodon import PROVIDER
from domain.gateways.vault import Tokens

if TYPE_CHECKING:
    from datetime import timedelta

    import httpx

    from domain.gateways.breakers import Breakers

SCOPES = "read:accounts read:statuses write:media write:statuses"
_NAME = "Social Media Manager"


class _App(BaseModel):
    client_id: str
    client_secret: str


class _Token(BaseModel):
    access_token: str
    scope: str = ""


class _Account(BaseModel):
    id: str
    acct: str
    display_name: str = ""
    avatar: str | None = None


class _Statuses(BaseModel):
    max_characters: int | None = None


class _Configuration(BaseModel):
    statuses: _Statuses = _Statuses()


class _Instance(BaseModel):
    configuration: _Configuration = _Configuration()


class MastodonDoor:
    """Any Mastodon server."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._call = Caller(PROVIDER, http, breakers, deadline=deadline, translate=refused_grant)

    async def client(self, place: Place) -> Client:
        """Register on this server. Another registration does no harm: nobody uses it."""
        content = {"client_name": _NAME, "redirect_uris": place.redirect_uri, "scopes": SCOPES}
        response = await self._call("POST", f"{place.base_url}/api/v1/apps", reads=True, data=content)
        app = read(_App, response, "a registration")
        return Client(app.client_id, app.client_secret)

    def address(self, place: Place, client: Client, trip: Trip) -> str:
        """Return the server's own page."""
        shown = {"scope": SCOPES, "code_challenge": trip.challenge, "code_challenge_method": "S256"}
        return login_page(f"{place.base_url}/oauth/authorize", place, client, trip, **shown)

    async def arrive(self, place: Place, client: Client, *, code: str, verifier: str) -> Arrival:
        """Exchange the code; these tokens have no end."""
        content = exchange(place, client, code=code, code_verifier=verifier)
        # as reading: an answer that is lost leaves a token that nobody has
        response = await self._call("POST", f"{place.base_url}/oauth/token", reads=True, data=content)
        token = read(_Token, response, "a token")
        headers = {"Authorization": f"Bearer {token.access_token}"}
        response = await self._call("GET", f"{place.base_url}/api/v1/accounts/verify_credentials", headers=headers)
        account = read(_Account, response, "an account")
        return Arrival(
            external_id=account.id,
            handle=f"@{account.acct}",
            tokens=Tokens(token.access_token),
            display_name=account.display_name,
            avatar_url=account.avatar or None,
            scopes=tuple(token.scope.split()),
            limits=await self._limits(place),
        )

    async def _limits(self, place: Place) -> dict[str, int]:
        """Ask how long a status may be. A server that does not say so has the usual limit."""
        try:
            response = await self._call("GET", f"{place.base_url}/api/v2/instance")
            most = _Instance.model_validate_json(response.content).configuration.statuses.max_characters
        except (GatewayError, ValidationError):
            return {}
        return {} if most is None else {"characters": most}
