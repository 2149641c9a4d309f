"""Calls to Stripe through Stripe's library and our client: under a deadline, behind a breaker, failures translated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import stripe

from domain.gateways.failures import AuthExpired, GatewayError, RateLimited, Rejected, Transient, UnknownOutcome
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

PROVIDER = "stripe"


@dataclass(frozen=True, slots=True)
class StripeAccess:
    """Where Stripe is and what lets us in; never printed."""

    base_url: str
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    @property
    def livemode(self) -> bool:
        """Whether the key is of the mode in which money moves."""
        return self.api_key.startswith(("sk_live_", "rk_live_"))


class StripeCalls:
    """Makes calls with the library's `client`. Every call ends within the deadline."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: StripeAccess, *, deadline: timedelta
    ) -> None:
        self._breakers = breakers
        self._deadline = deadline.total_seconds()
        self._host = urlsplit(access.base_url).netloc
        self.client = stripe.StripeClient(
            access.api_key,
            base_addresses={"api": access.base_url},
            max_network_retries=0,  # the queue repeats, and knows when
            http_client=_Http(http),
        )

    async def read(self, call: Awaitable[Any]) -> Any:
        """Make a call that changes nothing."""
        return await self._call(call, mutation=False)

    async def write(self, call: Awaitable[Any]) -> Any:
        """Make a call that changes something: without an answer nobody knows."""
        return await self._call(call, mutation=True)

    async def _call(self, call: Awaitable[Any], *, mutation: bool) -> Any:
        try:
            with self._breakers.calling(PROVIDER, self._host):
                try:
                    async with asyncio.timeout(self._deadline):
                        return await call
                except stripe.StripeError as error:
                    raise _translated(error, mutation=mutation) from error
                except TimeoutError as error:
                    raise _lost("no answer in time", mutation=mutation) from error
        finally:
            if asyncio.iscoroutine(call):
                call.close()  # never begun when the circuit is open


class _Http(stripe.HTTPClient):
    """Lets Stripe's library use our client: no proxy of the environment decides where the key is sent."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request."""
        try:
            response = await self._http.request(method, url, headers=dict(headers), content=post_data or None)
        except httpx.HTTPError as error:
            lost = f"{type(error).__name__}: {error}"
            raise stripe.APIConnectionError(lost) from error  # type: ignore[no-untyped-call] # the library's
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        """Leave the client to whoever opened it."""


def _translated(error: stripe.StripeError, *, mutation: bool) -> GatewayError:
    status = error.http_status
    said = str(error)[:300].replace("\x00", "")
    code = error.code or type(error).__name__
    if isinstance(error, stripe.RateLimitError):
        wait = requested_wait(error.headers or {}, datetime.now(UTC))
        return RateLimited(said, code=code, wait=wait, status=status)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return AuthExpired(said, code=code, status=status)
    if isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        return Rejected(said, code=code, status=status)
    if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return Transient(said, code="unreachable")
    return _lost(said, mutation=mutation, status=status)


def _lost(message: str, *, mutation: bool, status: int | None = None) -> GatewayError:
    failure = UnknownOutcome if mutation else Transient
    return failure(message, code=f"http_{status}" if status else "no_answer", status=status)
