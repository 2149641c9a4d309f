"""Stripe: is an event really theirs, what do they say of a customer, and what we tell them of usage."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import stripe

from domain.gateways.failures import AuthExpired, GatewayError, RateLimited, Rejected, Transient, UnknownOutcome
from domain.gateways.waiting import requested_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping
    from datetime import timedelta

    from domain.gateways.breakers import Breakers

PROVIDER = "stripe"
_TOLERANCE = 300
_PAGE = 100


class Forged(Exception):
    """What came is not from Stripe, is too old or from the future, or belongs to the other mode."""


@dataclass(frozen=True, slots=True)
class StripeNotice:
    """An event: a hint that something about a customer has changed."""

    id: str
    type: str
    livemode: bool
    created: datetime
    api_version: str | None
    customer_id: str | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteSubscription:
    """A subscription as Stripe has it now."""

    id: str
    customer_id: str
    status: str
    created: datetime
    plan: str | None
    """The lookup key of its price."""
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at: datetime | None
    ended_at: datetime | None


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


class Stripe:
    """Stripe's API through Stripe's library. Every call ends within the deadline."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: StripeAccess, *, deadline: timedelta
    ) -> None:
        self._breakers = breakers
        self._access = access
        self._deadline = deadline.total_seconds()
        self._host = urlsplit(access.base_url).netloc
        self._client = stripe.StripeClient(
            access.api_key,
            base_addresses={"api": access.base_url},
            max_network_retries=0,  # the queue repeats, and knows when
            http_client=_Http(http),
        )

    def verify(self, body: bytes, signature: str | None) -> StripeNotice:
        """Check the signature of the body as it came, byte by byte. Raises `Forged`."""
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._access.webhook_secret, _TOLERANCE)
            content = json.loads(body)
            notice, signed_at = _notice(content), _signed_at(signature or "")
        except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Forged(f"not an event that Stripe signed: {error}") from error
        if signed_at > time.time() + _TOLERANCE:  # the library accepts any future
            raise Forged("the event is signed in the future")
        if notice.livemode != self._access.livemode:
            raise Forged("the event is of the other mode (test and live are apart)")
        return notice

    async def subscriptions(self, customer_id: str) -> list[RemoteSubscription]:
        """List everything that a customer has and had, oldest first."""
        page = await self._read(
            self._client.v1.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": _PAGE},
            )
        )
        found = [_subscription(each) for each in page.data]
        return sorted(found, key=lambda each: each.created)

    async def subscription(self, subscription_id: str) -> RemoteSubscription:
        """Return one subscription."""
        return _subscription(await self._read(self._client.v1.subscriptions.retrieve_async(subscription_id)))

    async def cancel(self, subscription_id: str, *, key: str) -> RemoteSubscription:
        """End a subscription at once; with the same key it is ended once."""
        call = self._client.v1.subscriptions.cancel_async(subscription_id, options={"idempotency_key": key})
        return _subscription(await self._write(call))

    async def report_usage(
        self, event_name: str, customer_id: str, total: int, *, identifier: str, at: datetime
    ) -> None:
        """Tell the absolute total of a period: a meter with the formula ``last`` takes a repeat for the same."""
        call = self._client.v1.billing.meter_events.create_async(
            {
                "event_name": event_name,
                "payload": {"stripe_customer_id": customer_id, "value": str(total)},
                "identifier": identifier,
                "timestamp": int(at.timestamp()),
            },
            options={"idempotency_key": identifier},
        )
        await self._write(call)

    async def events_since(self, since: datetime) -> AsyncIterator[list[StripeNotice]]:
        """List events, newest first, page by page."""
        last: str | None = None
        while True:
            params: Any = {"created": {"gte": int(since.timestamp())}, "limit": _PAGE}
            if last is not None:
                params["starting_after"] = last
            page = await self._read(self._client.v1.events.list_async(params))
            notices = [_notice(json.loads(str(each))) for each in page.data]
            if notices:
                yield notices
            if not page.has_more or not notices:
                return
            last = notices[-1].id

    async def _read(self, call: Awaitable[Any]) -> Any:
        return await self._call(call, mutation=False)

    async def _write(self, call: Awaitable[Any]) -> Any:
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


def _signed_at(signature: str) -> int:
    """Return the first ``t``: the one the library takes."""
    return next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))


def _notice(content: dict[str, Any]) -> StripeNotice:
    about = content["data"]["object"]
    customer = about.get("id") if about.get("object") == "customer" else about.get("customer")
    if isinstance(customer, dict):  # expanded
        customer = customer.get("id")
    return StripeNotice(
        id=str(content["id"]),
        type=str(content["type"]),
        livemode=bool(content["livemode"]),
        created=datetime.fromtimestamp(content["created"], UTC),
        api_version=content.get("api_version"),
        customer_id=customer,
        payload=content,
    )


def _subscription(found: Any) -> RemoteSubscription:
    items = found["items"]["data"]
    item = items[0] if items else {}
    return RemoteSubscription(
        id=found["id"],
        customer_id=str(found["customer"]),
        status=found["status"],
        created=datetime.fromtimestamp(found["created"], UTC),
        plan=_get(_get(item, "price"), "lookup_key"),
        current_period_start=_time(_get(item, "current_period_start")),
        current_period_end=_time(_get(item, "current_period_end")),
        cancel_at=_time(_get(found, "cancel_at")),
        ended_at=_time(_get(found, "ended_at")),
    )


def _get(found: Any, name: str) -> Any:
    return found[name] if found and name in found else None


def _time(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)
