"""StartCheckout and OpenBillingPortal: an organization pays on Stripe's pages, and Stripe's events tell us of it.

Nothing here gives anybody a plan: the event ``checkout.session.completed`` makes us ask Stripe, as every event does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.gateways.checkout import Wish
from domain.models import Organization, Plan, Right, Subscription
from domain.use_cases.administration.suspension import locked_organization
from domain.use_cases.auditing import audit
from domain.use_cases.billing.subscriptions import ENDED, NOT_BEGUN
from domain.use_cases.organizations.authorizing import require

if TYPE_CHECKING:
    from domain.gateways.checkout import Checkout, Page
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context


class NotForSale(Exception):
    """A plan that cannot be bought, or not now; the message is for the user."""


@dataclass(frozen=True, slots=True)
class StartCheckout:
    """Somebody wants to pay for a plan."""

    units: UnitsOfWork
    checkout: Checkout
    base_url: str

    async def __call__(self, context: Context, plan: str, *, key: str | None = None) -> Page:
        """Return Stripe's page. The same ``key`` again gives the same page; without one the request's chain counts.

        Raises `NotForSale`, `NotAMember`, `Forbidden`, and `GatewayError` when Stripe cannot be asked.
        """
        if plan not in (Plan.PRO, Plan.BUSINESS):
            raise NotForSale(f"there is no plan {plan[:60]!r} to be paid for")
        async with self.units.begin(context) as uow:
            await require(uow, Right.BILLING)
            organization = await uow.session.get_one(Organization, uow.organization_id)
            if await _pays(uow):
                raise NotForSale("there is a subscription already; change it in the billing portal")
            audit(uow, "checkout.started", ("organization", organization.id), plan=plan)
        customer_id = organization.stripe_customer_id or await self._new_customer(context, organization)
        here = f"{self.base_url.rstrip('/')}/billing"
        wish = Wish(organization.id, plan, f"{here}?checkout=done", f"{here}?checkout=canceled")
        # the wish is part of the key: Stripe refuses a key that comes back with something else
        said = "\n".join((str(organization.id), context.user_id, plan, key or str(context.correlation_id)))
        return await self.checkout.open(
            customer_id, wish, key=f"checkout:{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()}"
        )

    async def _new_customer(self, context: Context, organization: Organization) -> str:
        """Make the customer known to both sides before anything can happen that Stripe would tell us of."""
        made = await self.checkout.customer(organization.id, organization.name)
        async with self.units.begin(context) as uow:
            row = await locked_organization(uow)
            # two at once were given the same one; whoever was first stored it
            row.stripe_customer_id = row.stripe_customer_id or made
            return row.stripe_customer_id


@dataclass(frozen=True, slots=True)
class OpenBillingPortal:
    """Somebody wants to see or change what is paid."""

    units: UnitsOfWork
    checkout: Checkout
    base_url: str

    async def __call__(self, context: Context) -> Page:
        """Return Stripe's page. Raises `NotForSale`, `NotAMember`, `Forbidden`, `GatewayError`."""
        async with self.units.begin(context) as uow:
            await require(uow, Right.BILLING)
            organization = await uow.session.get_one(Organization, uow.organization_id)
        if organization.stripe_customer_id is None:
            raise NotForSale("nothing was paid yet")
        return await self.checkout.portal(
            organization.stripe_customer_id, return_url=f"{self.base_url.rstrip('/')}/billing"
        )


async def _pays(uow: UnitOfWork) -> bool:
    found = await uow.session.scalar(
        select(Subscription.id).where(
            Subscription.organization_id == uow.organization_id, Subscription.status.not_in(ENDED | NOT_BEGUN)
        )
    )
    return found is not None
