"""What Stripe's library is told of ourselves, and what its errors mean. Imported when Stripe is called first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import stripe  # noqa: TID253 - this module is imported late

from domain.gateways.failures import AuthExpired, GatewayError, RateLimited, Rejected, Transient, UnknownOutcome
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.gateways.stripe_calls import StripeAccess

Failure = stripe.StripeError


def client(access: StripeAccess, http: httpx.AsyncClient) -> stripe.StripeClient:
    """Make the library's client, on top of ours."""
    return stripe.StripeClient(
        access.api_key,
        base_addresses={"api": access.base_url},
        max_network_retries=0,  # the queue repeats, and knows when
        http_client=_Http(http),
    )


def translated(error: stripe.StripeError, *, mutation: bool) -> GatewayError:
    """Say what an error of the library means to us."""
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
    return lost(said, mutation=mutation, status=status)


def lost(message: str, *, mutation: bool, status: int | None = None) -> GatewayError:
    """Say what no answer means, or one that says nothing."""
    failure = UnknownOutcome if mutation else Transient
    return failure(message, code=f"http_{status}" if status else "no_answer", status=status)


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
            failed = f"{type(error).__name__}: {error}"
            raise stripe.APIConnectionError(failed) from error  # type: ignore[no-untyped-call] # the library's
        return response.content, response.status_code, response.headers

    async def close_async(self) -> None:
        """Leave the client to whoever opened it."""
