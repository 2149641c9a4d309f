"""Mastodon: publishing with an idempotency key, and looking at what an account has published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from domain.gateways.failures import (
    AuthExpired,
    GatewayError,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

PROVIDER = "mastodon"
MAX_CHARACTERS = 500
_PAGE = 40
_PAGES = 5


@dataclass(frozen=True, slots=True)
class Grant:
    """Where an account lives and what lets us in."""

    base_url: str
    external_id: str
    access: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """A post as the network has it."""

    external_id: str
    permalink: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """What an account has published; only a complete one can prove that something is not there."""

    statuses: tuple[RemoteStatus, ...]
    complete: bool


class _Status(BaseModel):
    id: str
    url: str
    content: str
    created_at: AwareDatetime

    def remote(self) -> RemoteStatus:
        return RemoteStatus(self.id, self.url, _plain(self.content), self.created_at)


_PAGE_OF_STATUSES = TypeAdapter(list[_Status])


class Mastodon:
    """The API of any Mastodon server. Every call ends within the deadline, whatever the server does."""

    def __init__(self, http: httpx.AsyncClient, breakers: Breakers, *, deadline: timedelta) -> None:
        self._http = http
        self._breakers = breakers
        self._deadline = deadline.total_seconds()

    async def publish(self, grant: Grant, text: str, *, key: str) -> RemoteStatus:
        """Publish a text. The same key within an hour gives the same status again instead of a second one."""
        response = await self._call(
            grant, "POST", "/api/v1/statuses", headers={"Idempotency-Key": key}, json={"status": text}
        )
        try:
            return _Status.model_validate_json(response.content).remote()
        except ValidationError as error:
            raise UnknownOutcome("the answer is not a status", code="bad_answer") from error

    async def statuses_since(self, grant: Grant, since: datetime) -> Listing:
        """List the account's statuses, newest first, back to a moment (or as far as we are willing to read)."""
        found: list[RemoteStatus] = []
        path = f"/api/v1/accounts/{grant.external_id}/statuses"
        for _ in range(_PAGES):
            params = {"limit": str(_PAGE)} | ({"max_id": found[-1].external_id} if found else {})
            response = await self._call(grant, "GET", path, params=params)
            try:
                page = [status.remote() for status in _PAGE_OF_STATUSES.validate_json(response.content)]
            except ValidationError as error:
                raise Transient("the answer is not a list of statuses", code="bad_answer") from error
            found += page
            if not page or page[-1].created_at < since:
                return Listing(tuple(found), complete=True)
        return Listing(tuple(found), complete=False)

    async def _call(self, grant: Grant, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {grant.access}"} | request.pop("headers", {})
        url = grant.base_url.rstrip("/") + path
        with self._breakers.calling(PROVIDER, urlsplit(url).netloc):
            try:
                # httpx's timeouts count between two bytes; a server that drips could hold us for ever
                async with asyncio.timeout(self._deadline):
                    response = await self._http.request(method, url, headers=headers, **request)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                raise Transient(f"cannot connect: {error!r}", code="unreachable") from error
            except (httpx.HTTPError, TimeoutError) as error:
                raise _lost_answer(method, f"no answer: {error!r}", code="no_answer") from error
            if not response.is_success:
                raise _refusal(method, response)
            return response


def _lost_answer(method: str, message: str, *, code: str, status: int | None = None) -> GatewayError:
    failure = Transient if method == "GET" else UnknownOutcome  # reading changes nothing, whatever became of it
    return failure(message, code=code, status=status)


def _refusal(method: str, response: httpx.Response) -> GatewayError:
    """Translate an answer that is no success."""
    status = response.status_code
    said = f"HTTP {status}: {response.text[:300]}".replace("\x00", "")  # PostgreSQL stores no NUL
    code = f"http_{status}"
    limited = status == httpx.codes.TOO_MANY_REQUESTS or (
        status == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in response.headers
    )
    if limited:
        wait = requested_wait(response.headers, datetime.now(UTC))
        return RateLimited(said, code=code, wait=wait, status=status)
    if status == httpx.codes.UNAUTHORIZED:
        return AuthExpired(said, code=code, status=status)
    if response.is_server_error or status == httpx.codes.REQUEST_TIMEOUT:
        return _lost_answer(method, said, code=code, status=status)
    return Rejected(said, code=code, status=status)


class _Text(HTMLParser):
    """Collects what a reader would see of a status."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the base class's signature
        if tag in {"p", "br"}:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _plain(content: str) -> str:
    parser = _Text()
    parser.feed(content)
    parser.close()
    return "".join(parser.parts).strip()
