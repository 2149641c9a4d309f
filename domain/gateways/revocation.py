"""Giving a grant back to its network, so that the tokens are worth nothing to anybody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from domain.gateways.failures import Rejected, Transient

if TYPE_CHECKING:
    from datetime import timedelta

    from domain.gateways.breakers import Breakers
    from domain.gateways.connecting import Client
    from domain.gateways.vault import Tokens


@dataclass(frozen=True, slots=True)
class Grant:
    """What is given back."""

    provider: str
    base_url: str
    tokens: Tokens = field(repr=False)
    client: Client | None = None
    """Who we are there, where the network asks for that."""


class Revocation:
    """Tells networks that we want their tokens no more. Telling one twice does no harm."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._http = http
        self._breakers = breakers
        self._deadline = deadline.total_seconds()

    async def revoke(self, grant: Grant) -> None:
        """Give the grant back.

        Raises:
            Rejected: the network knows no such grant any more, or has no way to give one back.
            Transient: it did not answer, or not sensibly.
            CircuitOpen: it failed so often lately that nothing was sent.

        """
        match grant.provider:
            case "mastodon":
                content = {"token": grant.tokens.access}
                if grant.client is not None:
                    content |= {"client_id": grant.client.id, "client_secret": grant.client.secret}
                await self._post(grant, "/oauth/revoke", json=content)
            case "bluesky":
                # the session ends with its refresh token
                secret = grant.tokens.refresh or grant.tokens.access
                headers = {"Authorization": f"Bearer {secret}"}
                await self._post(grant, "/xrpc/com.atproto.server.deleteSession", headers=headers)
            case _:
                raise Rejected(f"{grant.provider} has no call that gives a grant back", code="no_revocation")

    async def _post(
        self, grant: Grant, path: str, *, json: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        url = grant.base_url.rstrip("/") + path
        with self._breakers.calling(grant.provider, urlsplit(url).netloc):
            try:
                async with asyncio.timeout(self._deadline):
                    response = await self._http.post(url, json=json, headers=headers)
            except (httpx.HTTPError, TimeoutError) as error:
                raise Transient(f"no answer: {type(error).__name__}", code="no_answer") from error
            if response.is_success:
                return
            # what the network says is not repeated: it may repeat what we sent
            too_many = response.status_code == httpx.codes.TOO_MANY_REQUESTS
            failure = Rejected if response.is_client_error and not too_many else Transient
            raise failure(f"HTTP {response.status_code}", code=f"http_{response.status_code}")
