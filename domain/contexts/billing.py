"""What organizations pay: from Stripe's word to the plan's limits, and what they used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.checkout import Checkout
from domain.gateways.stripe import Stripe
from domain.gateways.stripe_calls import StripeAccess
from domain.use_cases.billing.downgrading import CheckExpiredSubscriptions, DowngradeToFreePlan
from domain.use_cases.billing.events import (
    BuryStripeEvent,
    ProcessStripeWebhook,
    ReceiveStripeEvent,
    ReplayMissedStripeEvents,
)
from domain.use_cases.billing.paying import OpenBillingPortal, StartCheckout
from domain.use_cases.billing.usage import FanOutUsage, SyncUsageRecords
from domain.use_cases.forms import OneOrSweep

if TYPE_CHECKING:
    from datetime import date

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Billing:
    """The use cases of this context."""

    receive_stripe_event: ReceiveStripeEvent
    process_stripe_webhook: OneOrSweep[str]
    bury_stripe_event: BuryStripeEvent
    check_expired_subscriptions: CheckExpiredSubscriptions
    downgrade_to_free_plan: DowngradeToFreePlan
    sync_usage_records: OneOrSweep[str, date | None]
    start_checkout: StartCheckout
    open_billing_portal: OpenBillingPortal


def billing(parts: Parts) -> Billing:
    """Put the context together."""
    units, configuration = parts.units, parts.configuration
    access = StripeAccess(
        configuration.stripe_url,
        configuration.stripe_api_key.get_secret_value(),
        configuration.stripe_webhook_secret.get_secret_value(),
    )
    stripe = Stripe(parts.http, parts.breakers, access, deadline=configuration.network_deadline)
    checkout = Checkout(parts.http, parts.breakers, access, deadline=configuration.network_deadline)
    return Billing(
        receive_stripe_event=ReceiveStripeEvent(units, stripe),
        process_stripe_webhook=OneOrSweep(ProcessStripeWebhook(units, stripe), ReplayMissedStripeEvents(units, stripe)),
        bury_stripe_event=BuryStripeEvent(units),
        check_expired_subscriptions=CheckExpiredSubscriptions(units),
        downgrade_to_free_plan=DowngradeToFreePlan(units, stripe),
        sync_usage_records=OneOrSweep(SyncUsageRecords(units, stripe), FanOutUsage(units)),
        start_checkout=StartCheckout(units, checkout, configuration.base_url),
        open_billing_portal=OpenBillingPortal(units, checkout, configuration.base_url),
    )
