"""How each network lets an account's owner allow us in, and what comes of it.

With OAuth the user is sent to the network with a state that only we know and comes back with a code, which is exchanged
for tokens by us alone. Where the network knows PKCE, the exchange also shows a verifier that was never sent around.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from domain.gateways.failures import AuthExpired, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import httpx

    from domain.gateways.failures import GatewayError
    from domain.gateways.vault import Tokens


@dataclass(frozen=True, slots=True)
class Client:
    """Ourselves as a network knows us."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account lives, and where its network sends users back to."""

    base_url: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Trip:
    """What a user is sent off with."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def challenge(self) -> str:
        """What the network sees of the verifier (S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An account that lets us in."""

    external_id: str
    handle: str
    tokens: Tokens
    expires_at: datetime | None = None
    display_name: str = ""
    avatar_url: str | None = None
    scopes: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    """What this server allows, where it says so."""


class Door(Protocol):
    """One network's way in. Every call ends within the deadline and raises nothing but `GatewayError`."""

    async def client(self, place: Place) -> Client:
        """Return who we are there; a network that has to get to know us first is told."""

    def address(self, place: Place, client: Client, trip: Trip) -> str:
        """Return where the user is sent."""

    async def arrive(self, place: Place, client: Client, *, code: str, verifier: str) -> Arrival:
        """Exchange the code for tokens and see whose they are. `Rejected`: the code is not good."""


class NotSetUp(Rejected):
    """The operator has not told us who we are on this network."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"connecting {provider} is not set up here", code="not_set_up")


def set_up(provider: str, client: Client) -> Client:
    """Return who the operator says that we are. Raises `NotSetUp`."""
    if not client.id:
        raise NotSetUp(provider)
    return client


def login_page(url: str, place: Place, client: Client, trip: Trip, **more: str) -> str:
    """Return the address of the network's page that asks the user."""
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": place.redirect_uri,
        "state": trip.state,
    }
    return f"{url}?{urlencode(query | more)}"


def exchange(place: Place, client: Client, **code: str) -> dict[str, str]:
    """Return the form that a code is exchanged for tokens with."""
    return {
        "grant_type": "authorization_code",
        "client_id": client.id,
        "client_secret": client.secret,
        "redirect_uri": place.redirect_uri,
        **code,
    }


class _Refusal(BaseModel):
    error: str = ""


def refused_grant(response: httpx.Response) -> GatewayError | None:
    """Translate a token endpoint's refusal. Of its words only OAuth's own are kept: the others may repeat the code."""
    if not response.is_client_error or response.status_code in {408, 429}:
        return None
    try:
        error = _Refusal.model_validate_json(response.content).error[:60]
    except ValidationError:
        error = ""
    code = error if error.replace("_", "").isalnum() and error.isascii() else f"http_{response.status_code}"
    if code in {"invalid_client", "unauthorized_client"}:
        return AuthExpired("the network does not know us", code=code, status=response.status_code)
    return Rejected("the network refused the code", code=code, status=response.status_code)
