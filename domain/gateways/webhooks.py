"""Webhooks out, by the Standard Webhooks specification: the same bytes and id on each attempt, a fresh signature."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
from standardwebhooks import Webhook

from domain.gateways.failures import GatewayError, RateLimited, Rejected, Transient, UnknownOutcome
from domain.gateways.guard import Blocked, Guard, trust
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

PROVIDER = "webhook"
_MOST_READ = 16 * 1024
_BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_CONNECT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_NETWORK = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class Gone(Rejected):
    """The endpoint says that it is not there any more (410)."""


class NotAnEndpoint(Exception):
    """A URL that nothing can be delivered to; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent, and with which secrets it is signed: during a rotation with both."""

    url: str
    message_id: str
    body: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The endpoint has it."""

    status: int
    excerpt: str


class Webhooks:
    """Delivers to addresses that strangers gave us. Every call ends within the deadline."""

    def __init__(self, guard: Guard, breakers: Breakers, *, deadline: timedelta) -> None:
        self._guard = guard
        self._breakers = breakers
        self._deadline = deadline.total_seconds()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust(),
            network_backend=guard,
            max_connections=20,
            max_keepalive_connections=0,  # a kept connection would outlive what we know of its address
        )

    async def check(self, url: str) -> None:
        """Refuse a URL that could never be delivered to. Raises `NotAnEndpoint`."""
        host, port = self._target(url)
        try:
            async with asyncio.timeout(self._deadline):
                await self._guard.resolve(host, port)
        except Blocked as error:
            raise NotAnEndpoint(str(error)) from error
        except (httpcore.ConnectError, TimeoutError) as error:
            raise NotAnEndpoint(f"the host {host!r} cannot be found") from error

    async def deliver(self, letter: Letter) -> Receipt:
        """Send once. Redirects are not followed, no more than 16 KiB of the answer is read."""
        try:
            host, port = self._target(letter.url)
        except NotAnEndpoint as error:
            raise Blocked(str(error)) from error
        with self._breakers.calling(PROVIDER, f"{host}:{port}"):
            try:
                # the timeouts of HTTP clients count between two bytes; one that drips could hold us for ever
                async with asyncio.timeout(self._deadline):
                    return await self._send(letter)
            except _CONNECT as error:
                raise Transient(f"cannot connect: {error!r}", code="unreachable") from error
            except (*_NETWORK, TimeoutError) as error:
                raise UnknownOutcome(f"no answer: {error!r}", code="no_answer") from error

    async def _send(self, letter: Letter) -> Receipt:
        timeout = {"connect": 5.0, "read": self._deadline, "write": self._deadline, "pool": self._deadline}
        async with self._pool.stream(
            "POST",
            letter.url,
            headers=_headers(letter),
            content=letter.body.encode(),
            extensions={"timeout": timeout},
        ) as response:
            read = bytearray()
            async for part in response.aiter_stream():
                read += part
                if len(read) >= _MOST_READ:
                    break
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        excerpt = bytes(read[:_MOST_READ]).decode("utf-8", "replace").replace("\x00", "")[:500]
        if response.status // 100 == 2:  # noqa: PLR2004 - any success
            return Receipt(response.status, excerpt)
        raise _refusal(response.status, headers, excerpt)

    def _target(self, url: str) -> tuple[str, int]:
        """Return host and port. Raises `NotAnEndpoint`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise NotAnEndpoint(f"not a URL: {error}") from error
        if not host or not url.isascii() or any(character.isspace() for character in url):
            raise NotAnEndpoint("not a URL; write https://host/path, other letters percent-encoded")
        if parts.username is not None or parts.password is not None:
            raise NotAnEndpoint("no user and password in the URL: the signature says who we are")
        if parts.scheme != "https" and not (parts.scheme == "http" and self._guard.trusts(host)):
            raise NotAnEndpoint("the URL has to begin with https://")
        return host, port or (443 if parts.scheme == "https" else 80)


def _headers(letter: Letter) -> list[tuple[str, str]]:
    now = datetime.now(UTC)  # the library takes the figures of the time as they are, whatever the zone
    signatures = [Webhook(secret).sign(letter.message_id, now, letter.body) for secret in letter.secrets]
    return [
        ("Host", urlsplit(letter.url).netloc),
        ("Content-Type", "application/json"),
        ("User-Agent", "social-media-manager/1"),
        ("webhook-id", letter.message_id),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]


def _refusal(status: int, headers: dict[str, str], excerpt: str) -> GatewayError:
    said, code = f"HTTP {status}: {excerpt[:300]}", f"http_{status}"
    if status == HTTPStatus.GONE:
        return Gone(said, code=code, status=status)
    if status in _BUSY and "retry-after" in headers:
        return RateLimited(said, code=code, wait=requested_wait(headers, datetime.now(UTC)), status=status)
    if status // 100 == 5:  # noqa: PLR2004 - any fault of the server
        return UnknownOutcome(said, code=code, status=status)
    return Rejected(said, code=code, status=status)
