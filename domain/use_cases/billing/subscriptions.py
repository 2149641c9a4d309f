"""A subscription's row follows what Stripe says now, never what an event said then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import (
    SubscriptionActivated,
    SubscriptionCanceled,
    SubscriptionPastDue,
    SubscriptionRecovered,
)
from domain.models import Organization, Plan, Subscription, SubscriptionStatus, new_id, transition
from domain.use_cases.billing.limits import restore
from domain.use_cases.integration.outgoing import tell_endpoints
from domain.use_cases.notices import administrators, give_notice
from pgqueue import Context

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.stripe import RemoteSubscription
    from domain.unit_of_work import UnitOfWork

Change = SubscriptionActivated | SubscriptionCanceled | SubscriptionPastDue | SubscriptionRecovered

GRACE = timedelta(days=7)
PAID = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING})
LAPSED = frozenset(
    {
        SubscriptionStatus.UNPAID,
        SubscriptionStatus.PAUSED,
        SubscriptionStatus.CANCELED,
        SubscriptionStatus.INCOMPLETE_EXPIRED,
    }
)
NOT_BEGUN = frozenset({SubscriptionStatus.INCOMPLETE})
ENDED = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED})


class NotUnderstood(Exception):
    """Stripe has something that our model has no place for: a human must look at it."""


def customer_lock(customer_id: str) -> str:
    """Name the lock under which a customer's subscription is fetched and stored: fetches cannot overtake each other."""
    return f"stripe:{customer_id}"


async def locked_organization(uow: UnitOfWork, organization_id: UUID) -> Organization:
    """Load an organization and keep it locked until the transaction ends."""
    return await uow.session.get_one(Organization, organization_id, with_for_update=True)


def context_of(organization_id: UUID, context: Context) -> Context:
    """Return the context of an organization in the chain of what caused this."""
    return Context(str(organization_id), context.user_id, context.correlation_id)


async def follow(
    uow: UnitOfWork, organization: Organization, remote: RemoteSubscription, now: datetime
) -> Change | None:
    """Make the row say what Stripe says; return what has changed for the organization, if anything."""
    row = await uow.session.scalar(
        select(Subscription).where(Subscription.stripe_subscription_id == remote.id).with_for_update()
    )
    if row is None and remote.status in ENDED | NOT_BEGUN:
        return None  # never gave anybody anything that could be taken away
    if row is None:
        before = None
        row = Subscription(
            id=new_id(),
            organization_id=organization.id,
            stripe_subscription_id=remote.id,
            stripe_customer_id=remote.customer_id,
            status=_known(remote),
            plan=_plan(remote),
        )
        uow.session.add(row)
    else:
        before = row.status
        if row.organization_id != organization.id:
            raise NotUnderstood(f"subscription {remote.id} belongs to another organization")
        if row.status != remote.status:
            transition(row, _known(remote))
    row.plan = _plan(remote)
    row.current_period_start, row.current_period_end = remote.current_period_start, remote.current_period_end
    row.cancel_at, row.ended_at, row.synced_at = remote.cancel_at, remote.ended_at, now
    if row.status == SubscriptionStatus.PAST_DUE:
        row.past_due_since = row.past_due_since or now
        row.grace_until = row.grace_until or row.past_due_since + GRACE
    elif row.status in PAID:
        row.past_due_since = row.grace_until = None
    if row.status in PAID or (before is None and row.status == SubscriptionStatus.PAST_DUE):
        await _allow(uow, organization, row)  # the grace is a time with the plan
    await uow.session.flush()
    return None if before == row.status else _change(row, before)


async def announce(uow: UnitOfWork, change: Change) -> None:
    """Publish a change, and tell people and endpoints."""
    await uow.publish(change)
    row = await uow.session.get_one(Subscription, change.subscription_id)
    kinds: dict[type[Change], str] = {
        SubscriptionPastDue: "subscription_past_due",
        SubscriptionRecovered: "subscription_recovered",
    }
    kind = kinds.get(type(change))
    if kind is not None:
        key = f"{kind}:{row.id}:{row.synced_at.isoformat()}"
        organization = await uow.session.get_one(Organization, row.organization_id)
        day = row.grace_until.date().isoformat() if row.grace_until else ""
        await give_notice(uow, await administrators(uow), kind, key=key, organization=organization.name, day=day)
    data = {"subscription_id": str(row.id), "status": row.status, "plan": row.plan}
    await tell_endpoints(uow, "subscription.updated", data)


async def _allow(uow: UnitOfWork, organization: Organization, row: Subscription) -> None:
    """Give the organization its plan, and back what a smaller one had taken."""
    if organization.plan == row.plan:
        return
    organization.plan = row.plan
    await restore(uow, organization)


def _change(row: Subscription, before: str | None) -> Change | None:
    about = {"organization_id": row.organization_id, "subscription_id": row.id}
    if row.status in PAID:
        if before in PAID:
            return None
        return SubscriptionActivated(**about) if before is None else SubscriptionRecovered(**about)
    if row.status == SubscriptionStatus.PAST_DUE and row.grace_until is not None:
        return SubscriptionPastDue(**about, grace_until=row.grace_until)
    if row.status in LAPSED and before not in LAPSED:
        return SubscriptionCanceled(**about)
    return None


def _known(remote: RemoteSubscription) -> SubscriptionStatus:
    try:
        return SubscriptionStatus(remote.status)
    except ValueError as error:
        raise NotUnderstood(f"subscription {remote.id} has the unknown status {remote.status!r}") from error


def _plan(remote: RemoteSubscription) -> str:
    try:
        return Plan(remote.plan or "").value
    except ValueError as error:
        message = f"the price of {remote.id} has the lookup key {remote.plan!r}, which is the name of no plan"
        raise NotUnderstood(message) from error
