"""Stripe's own pages on which customers choose what they pay: the checkout and the billing portal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain.gateways.failures import Rejected
from domain.gateways.stripe_calls import StripeCalls

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    import httpx

    from domain.gateways.breakers import Breakers
    from domain.gateways.stripe_calls import StripeAccess


@dataclass(frozen=True, slots=True)
class Page:
    """Where a customer goes. Whoever has the address may act for the customer there, so it is never printed."""

    url: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be paid for, and where the customer comes back to."""

    organization_id: UUID
    plan: str
    success_url: str
    cancel_url: str


class Checkout:
    """Opens pages. With the same key the same page is returned."""

    def __init__(
        self, http: httpx.AsyncClient, breakers: Breakers, access: StripeAccess, *, deadline: timedelta
    ) -> None:
        self._calls = StripeCalls(http, breakers, access, deadline=deadline)

    async def customer(self, organization_id: UUID, name: str) -> str:
        """Make an organization known to Stripe; the same organization again is the same customer, for a day."""
        call = self._calls.client.v1.customers.create_async(
            {"name": name, "metadata": {"organization_id": str(organization_id)}},
            options={"idempotency_key": f"customer:{organization_id}"},
        )
        return str((await self._calls.write(call)).id)

    async def open(self, customer_id: str, wish: Wish, *, key: str) -> Page:
        """Open a page on which the customer subscribes to a plan."""
        price = await self._price(wish.plan)
        call = self._calls.client.v1.checkout.sessions.create_async(
            {
                "mode": "subscription",
                "customer": customer_id,
                "client_reference_id": str(wish.organization_id),
                "line_items": [{"price": price, "quantity": 1}],
                "success_url": wish.success_url,
                "cancel_url": wish.cancel_url,
                "subscription_data": {"metadata": {"organization_id": str(wish.organization_id)}},
            },
            options={"idempotency_key": key},
        )
        session = await self._calls.write(call)
        if not session.url:
            raise Rejected("Stripe opened no page", code="no_page")
        return Page(session.url, datetime.fromtimestamp(session.expires_at, UTC))

    async def portal(self, customer_id: str, *, return_url: str) -> Page:
        """Open a page on which the customer changes or ends what is subscribed."""
        call = self._calls.client.v1.billing_portal.sessions.create_async(
            {"customer": customer_id, "return_url": return_url}
        )
        return Page(str((await self._calls.write(call)).url))

    async def _price(self, plan: str) -> str:
        """Find the price whose lookup key is the plan's name."""
        found = await self._calls.read(
            self._calls.client.v1.prices.list_async({"lookup_keys": [plan], "active": True, "limit": 1})
        )
        if not found.data:
            raise Rejected(f"Stripe has no active price with the lookup key {plan!r}", code="no_price")
        return str(found.data[0].id)
