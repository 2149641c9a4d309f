"""Subscriptions and usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class _SubscriptionChanged:
    organization_id: UUID
    subscription_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeEventReceived:
    """Stripe told us something that is not processed yet."""

    stripe_event_id: str
    """Stripe's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionActivated(_SubscriptionChanged):
    """A subscription is paid for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPastDue(_SubscriptionChanged):
    """A payment failed and the grace period runs."""

    grace_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRecovered(_SubscriptionChanged):
    """What was due is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCanceled(_SubscriptionChanged):
    """A subscription is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceExpired(_SubscriptionChanged):
    """A payment is still due after the grace period."""

    grace_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDowngraded(_SubscriptionChanged):
    """An organization is on the free plan now."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageConsolidated:
    """The usage of a period is counted and Stripe has the total."""

    organization_id: UUID
    metric: str
    period_start: date
    seq: int
