"""What follows from events of the context `billing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import DowngradeToFreePlanJob, ProcessStripeWebhookJob

if TYPE_CHECKING:
    from domain.events import GraceExpired, StripeEventReceived, SubscriptionCanceled
    from domain.unit_of_work import UnitOfWork


async def process(uow: UnitOfWork, event: StripeEventReceived) -> None:
    """Follow the hint."""
    await uow.dispatch(ProcessStripeWebhookJob(stripe_event_id=event.stripe_event_id))


async def downgrade_after_grace(uow: UnitOfWork, event: GraceExpired) -> None:
    """Take the organization back to the free plan."""
    await uow.dispatch(DowngradeToFreePlanJob(subscription_id=event.subscription_id, reason="grace_expired"))


async def downgrade_at_the_end(uow: UnitOfWork, event: SubscriptionCanceled) -> None:
    """Take the organization back to the free plan."""
    await uow.dispatch(DowngradeToFreePlanJob(subscription_id=event.subscription_id, reason="canceled"))
