"""What becomes of those who do not pay: CheckExpiredSubscriptions and DowngradeToFreePlan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import GraceExpired, PlanDowngraded
from domain.gateways.failures import Postponed
from domain.jobs import CheckExpiredSubscriptionsJob
from domain.models import Organization, Plan, Subscription, SubscriptionStatus
from domain.use_cases.billing.limits import restrict
from domain.use_cases.billing.subscriptions import (
    PAID,
    NotUnderstood,
    announce,
    context_of,
    customer_lock,
    follow,
    locked_organization,
)
from domain.use_cases.clock import database_now
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.notices import administrators, give_notice
from pgqueue import Dead, Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.stripe import RemoteSubscription, Stripe
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext
    from pgqueue.lock import AsyncLock

SLICE = 200
_DUE = (SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID)
_LOCK = "60s"
_SOON = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class CheckExpiredSubscriptions:
    """Find the subscriptions whose grace is over. Nothing changes here: each is looked at in a job of its own."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext, after: UUID | None) -> None:
        """Look at one slice; the next slice's job comes in with the same commit."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            query = (
                select(Subscription)
                .where(Subscription.status.in_(_DUE), Subscription.grace_until < await database_now(uow))
                .order_by(Subscription.id)
                .limit(SLICE)
            )
            found = await session.scalars(query if after is None else query.where(Subscription.id > after))
            rows = found.all()
            for row in rows:
                if row.grace_until is not None:
                    own = self.units.join(session, context_of(row.organization_id, ctx.context))
                    await own.publish(
                        GraceExpired(
                            organization_id=row.organization_id,
                            subscription_id=row.id,
                            grace_until=row.grace_until,
                        )
                    )
            if len(rows) == SLICE:
                await uow.dispatch(CheckExpiredSubscriptionsJob(after=rows[-1].id))


@dataclass(frozen=True, slots=True)
class DowngradeToFreePlan:
    """Take an organization back to the free plan, unless it has paid meanwhile; nothing is deleted."""

    units: UnitsOfWork
    stripe: Stripe

    async def __call__(self, ctx: JobContext, subscription_id: UUID, reason: str) -> Outcome | None:
        """Ask Stripe, end there what is not paid, then switch off what the free plan does not have."""
        async with self.units.begin(ctx.context) as uow:
            row = await _subscription(uow, subscription_id)
            if row is None:
                return Discard("there is no such subscription in this organization")
            organization = await uow.session.get_one(Organization, uow.organization_id)
            if organization.plan == Plan.FREE:
                return None
            stripe_id, customer_id, grace = row.stripe_subscription_id, row.stripe_customer_id, row.grace_until
        key = f"downgrade:{subscription_id}:{grace.isoformat() if grace else 'ended'}"
        try:
            async with self.units.queue.lock(customer_lock(customer_id), ttl=_LOCK) as lock:
                remote = await self.stripe.subscription(stripe_id)
                if remote.status in _DUE:
                    remote = await self.stripe.cancel(stripe_id, key=key)
                await self._store(ctx, subscription_id, remote, reason, lock)
        except LockTaken as taken:
            return Snooze(min(taken.retry_after, _SOON), "another change of this customer is being made")
        except Postponed as error:
            return Snooze(error.wait, f"{error.code}: {error}")
        except NotUnderstood as error:
            return Dead(str(error))
        return None

    async def _store(
        self, ctx: JobContext, subscription_id: UUID, remote: RemoteSubscription, reason: str, lock: AsyncLock
    ) -> None:
        async with ctx.transaction() as session:
            await lock.assert_held(session)
            uow = self.units.join(session, ctx.context)
            organization = await locked_organization(uow, uow.organization_id)
            change = await follow(uow, organization, remote, await database_now(uow))
            if remote.status in PAID:  # paid a minute ago
                if change is not None:
                    await announce(uow, change)
                return
            if organization.plan == Plan.FREE or await _pays_otherwise(uow, subscription_id):
                return
            organization.plan = Plan.FREE.value
            await restrict(uow, organization)
            await uow.publish(
                PlanDowngraded(organization_id=organization.id, subscription_id=subscription_id, reason=reason)
            )
            key = f"plan_downgraded:{subscription_id}"
            await give_notice(
                uow, await administrators(uow), "plan_downgraded", key=key, organization=organization.name
            )
            data = {"subscription_id": str(subscription_id), "status": remote.status, "plan": organization.plan}
            await tell_endpoints(uow, "subscription.updated", data)


async def _subscription(uow: UnitOfWork, subscription_id: UUID) -> Subscription | None:
    return await uow.session.scalar(
        select(Subscription).where(
            Subscription.organization_id == uow.organization_id, Subscription.id == subscription_id
        )
    )


async def _pays_otherwise(uow: UnitOfWork, subscription_id: UUID) -> bool:
    """Tell whether the organization has another subscription that is paid."""
    found = await uow.session.scalar(
        select(Subscription.id).where(
            Subscription.organization_id == uow.organization_id,
            Subscription.id != subscription_id,
            Subscription.status.in_((*PAID, SubscriptionStatus.PAST_DUE)),
        )
    )
    return found is not None
