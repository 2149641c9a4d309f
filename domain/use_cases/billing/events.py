"""Stripe's events: ReceiveStripeEvent, ProcessStripeWebhook, BuryStripeEvent and ReplayMissedStripeEvents.

An event is a hint. What it says is old when it comes, may come twice, and after a later one; so its customer's
subscriptions are asked for, under a lock, and the answer is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.events import StripeEventReceived, SubscriptionCanceled
from domain.gateways.failures import Postponed
from domain.models import Organization, StripeEvent, StripeEventStatus, Subscription, transition
from domain.use_cases.billing.subscriptions import (
    ENDED,
    NOT_BEGUN,
    PAID,
    NotUnderstood,
    announce,
    context_of,
    customer_lock,
    follow,
)
from domain.use_cases.clock import database_now
from pgqueue import Dead, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.stripe import RemoteSubscription, Stripe, StripeNotice
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context, Death, JobContext
    from pgqueue.lock import AsyncLock

ABOUT = ("customer.subscription.", "invoice.", "checkout.session.completed")
_LOCK = "60s"
_SOON = timedelta(seconds=5)
# Stripe repeats for three days; a day more, as we look once a day.
_LOOK_BACK = timedelta(days=4)
_MOST_ERROR = 500


class UnknownCustomer(Exception):
    """No organization has this customer: the checkout may not be committed yet."""


@dataclass(frozen=True, slots=True)
class ReceiveStripeEvent:
    """Take what was posted to us, if Stripe signed it."""

    units: UnitsOfWork
    stripe: Stripe

    async def __call__(self, context: Context, body: bytes, signature: str | None) -> bool:
        """Store the event and dispatch its job; False: we have it already. Raises `Forged`."""
        notice = self.stripe.verify(body, signature)
        async with self.units.begin(context) as uow:
            return await _take(uow, notice)


@dataclass(frozen=True, slots=True)
class ReplayMissedStripeEvents:
    """Find the events that never reached us."""

    units: UnitsOfWork
    stripe: Stripe

    async def __call__(self, ctx: JobContext) -> Outcome | None:
        """Take what Stripe lists and we do not have, a page in a transaction."""
        async with self.units.begin(ctx.context) as uow:
            since = await database_now(uow) - _LOOK_BACK
        try:
            async for notices in self.stripe.events_since(since):
                async with self.units.begin(ctx.context) as uow:
                    for notice in reversed(notices):
                        await _take(uow, notice)
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        return None


@dataclass(frozen=True, slots=True)
class ProcessStripeWebhook:
    """Follow one hint; safe to call again at any moment."""

    units: UnitsOfWork
    stripe: Stripe

    async def __call__(self, ctx: JobContext, stripe_event_id: str) -> Outcome | None:
        """Process an event."""
        async with self.units.begin(ctx.context) as uow:
            customer_id = await _customer_to_ask_for(uow, stripe_event_id)
        return None if customer_id is None else await self._follow(ctx, stripe_event_id, customer_id)

    async def _follow(self, ctx: JobContext, stripe_event_id: str, customer_id: str) -> Outcome | None:
        try:
            async with self.units.queue.lock(customer_lock(customer_id), ttl=_LOCK) as lock:
                remote = await self.stripe.subscriptions(customer_id)
                await self._store(ctx, stripe_event_id, remote, lock)
        except LockTaken as taken:
            return Snooze(min(taken.retry_after, _SOON), "another event of this customer is being processed")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        except NotUnderstood as error:
            return Dead(str(error))
        return None

    async def _store(
        self, ctx: JobContext, stripe_event_id: str, remote: Sequence[RemoteSubscription], lock: AsyncLock
    ) -> None:
        async with ctx.transaction() as session:
            await lock.assert_held(session)
            uow = self.units.join(session, ctx.context)
            event = await _locked(uow, stripe_event_id)
            if event is None or event.status != StripeEventStatus.RECEIVED:
                return
            organization = await session.scalar(
                select(Organization).where(Organization.stripe_customer_id == event.customer_id).with_for_update()
            )
            if organization is None:
                raise UnknownCustomer(f"no organization has the customer {event.customer_id}")
            own = self.units.join(session, context_of(organization.id, ctx.context))
            await follow_all(own, organization, remote)
            await _note(own, event)
            transition(event, StripeEventStatus.PROCESSED)
            event.organization_id, event.error = organization.id, None
            event.processed_at = await database_now(uow)


@dataclass(frozen=True, slots=True)
class BuryStripeEvent:
    """The job died: the event says why."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, stripe_event_id: str | None, death: Death) -> None:
        """Leave the event `failed`."""
        event = await _locked(self.units.join(session, death.context), stripe_event_id or "")
        if event is not None and event.status == StripeEventStatus.RECEIVED:
            transition(event, StripeEventStatus.FAILED)
            event.error = f"{death.reason}: {death.error}"[:_MOST_ERROR]


async def follow_all(uow: UnitOfWork, organization: Organization, remote: Sequence[RemoteSubscription]) -> None:
    """Follow all subscriptions of a customer: first those that are over, so that one is left that lives."""
    living = [each for each in remote if each.status not in ENDED | NOT_BEGUN]
    if len(living) > 1:
        names = ", ".join(each.id for each in living)
        raise NotUnderstood(f"customer {living[0].customer_id} has several living subscriptions: {names}")
    now = await database_now(uow)
    changes = [
        await follow(uow, organization, each, now) for each in sorted(remote, key=lambda each: each.status not in ENDED)
    ]
    paid = bool(living) and living[0].status in PAID
    for change in changes:
        # the end of an old subscription takes nothing from somebody who has a new one
        if change is not None and not (paid and isinstance(change, SubscriptionCanceled)):
            await announce(uow, change)


async def _customer_to_ask_for(uow: UnitOfWork, stripe_event_id: str) -> str | None:
    """Return whose subscriptions the event is about; None: it is dealt with, or is about something else."""
    event = await _locked(uow, stripe_event_id)
    if event is None or event.status in (StripeEventStatus.PROCESSED, StripeEventStatus.IGNORED):
        return None
    if event.status == StripeEventStatus.FAILED:  # requeued from the dead letters
        transition(event, StripeEventStatus.RECEIVED)
    if event.customer_id is None or not event.type.startswith(ABOUT):
        transition(event, StripeEventStatus.IGNORED)
        event.processed_at = await database_now(uow)
        return None
    return event.customer_id


async def _take(uow: UnitOfWork, notice: StripeNotice) -> bool:
    values = {
        "id": notice.id,
        "type": notice.type,
        "api_version": notice.api_version,
        "livemode": notice.livemode,
        "created": notice.created,
        "customer_id": notice.customer_id,
        "payload": notice.payload,
    }
    stored = await uow.session.scalar(
        insert(StripeEvent).values(values).on_conflict_do_nothing().returning(StripeEvent.id)
    )
    if stored is None:
        return False
    await uow.publish(StripeEventReceived(stripe_event_id=notice.id))
    return True


async def _locked(uow: UnitOfWork, stripe_event_id: str) -> StripeEvent | None:
    return await uow.session.get(StripeEvent, stripe_event_id, with_for_update=True, populate_existing=True)


async def _note(uow: UnitOfWork, event: StripeEvent) -> None:
    """Remember the newest event that made us ask."""
    rows = await uow.session.scalars(
        select(Subscription).where(
            Subscription.organization_id == uow.organization_id,
            Subscription.stripe_customer_id == event.customer_id,
        )
    )
    for row in rows:
        row.last_event_created = max(row.last_event_created or event.created, event.created)
