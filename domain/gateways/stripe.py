"""Stripe: is an event really theirs, what do they say of a customer, and what we tell them of usage."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from domain.gateways.stripe_calls import StripeAccess, StripeCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    import httpx

    from domain.gateways.breakers import Breakers

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


class Stripe:
    """Stripe's API through Stripe's library. Every call ends within the deadline."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: StripeAccess, *, deadline: timedelta
    ) -> None:
        self._access = access
        self._calls = StripeCalls(http, breakers, access, deadline=deadline)

    def verify(self, body: bytes, signature: str | None) -> StripeNotice:
        """Check the signature of the body as it came, byte by byte. Raises `Forged`."""
        import stripe  # 6 MB, for the processes that talk with Stripe

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
        page = await self._calls.read(
            self._calls.client.v1.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": _PAGE},
            )
        )
        found = [_subscription(each) for each in page.data]
        return sorted(found, key=lambda each: each.created)

    async def subscription(self, subscription_id: str) -> RemoteSubscription:
        """Return one subscription."""
        call = self._calls.client.v1.subscriptions.retrieve_async(subscription_id)
        return _subscription(await self._calls.read(call))

    async def cancel(self, subscription_id: str, *, key: str) -> RemoteSubscription:
        """End a subscription at once; with the same key it is ended once."""
        call = self._calls.client.v1.subscriptions.cancel_async(subscription_id, options={"idempotency_key": key})
        return _subscription(await self._calls.write(call))

    async def report_usage(
        self, event_name: str, customer_id: str, total: int, *, identifier: str, at: datetime
    ) -> None:
        """Tell the absolute total of a period: a meter with the formula ``last`` takes a repeat for the same."""
        call = self._calls.client.v1.billing.meter_events.create_async(
            {
                "event_name": event_name,
                "payload": {"stripe_customer_id": customer_id, "value": str(total)},
                "identifier": identifier,
                "timestamp": int(at.timestamp()),
            },
            options={"idempotency_key": identifier},
        )
        await self._calls.write(call)

    async def events_since(self, since: datetime) -> AsyncIterator[list[StripeNotice]]:
        """List events, newest first, page by page."""
        last: str | None = None
        while True:
            params: Any = {"created": {"gte": int(since.timestamp())}, "limit": _PAGE}
            if last is not None:
                params["starting_after"] = last
            page = await self._calls.read(self._calls.client.v1.events.list_async(params))
            notices = [_notice(json.loads(str(each))) for each in page.data]
            if notices:
                yield notices
            if not page.has_more or not notices:
                return
            last = notices[-1].id


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
