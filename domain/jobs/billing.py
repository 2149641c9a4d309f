"""Jobs of the context `billing`: each calls one use case."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
    from pgqueue import Death, JobContext, Outcome


class BillingJob(Job, abstract=True, retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"])):
    """The policy of everything about money; the queues differ."""


class ProcessStripeWebhookJob(
    BillingJob,
    queue="high",
    timeout="60s",
    idempotency="lock",
    use_case="ProcessStripeWebhook or ReplayMissedStripeEvents",
    dispatched_by=("StripeEventReceived", "schedule replay_missed_stripe_events"),
    unique=Unique("stripe_event_id"),
):
    """Follow one event of Stripe's; without one, look for those that never reached us."""

    stripe_event_id: str | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.billing.process_stripe_webhook(ctx, self.stripe_event_id)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the event was not processed."""
        await app.billing.bury_stripe_event(session, self.stripe_event_id, death)


class CheckExpiredSubscriptionsJob(
    BillingJob,
    queue="default",
    timeout="90s",
    idempotency="transaction",
    use_case="CheckExpiredSubscriptions",
    dispatched_by=("schedule check_expired_subscriptions", "CheckExpiredSubscriptions"),
    unique=Unique("after"),
):
    """Find subscriptions whose grace is over, a slice at a time."""

    after: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> None:
        """Call the use case."""
        await app.billing.check_expired_subscriptions(ctx, self.after)


class DowngradeToFreePlanJob(
    BillingJob,
    queue="default",
    timeout="90s",
    idempotency="lock",
    use_case="DowngradeToFreePlan",
    dispatched_by=("GraceExpired", "SubscriptionCanceled"),
    # the hourly check finds the same subscription again until it is dealt with
    unique=Unique("subscription_id", while_="20h"),
):
    """Take an organization back to the free plan."""

    subscription_id: UUID
    reason: str

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.billing.downgrade_to_free_plan(ctx, self.subscription_id, self.reason)


class SyncUsageRecordsJob(
    BillingJob,
    queue="low",
    timeout="600s",
    idempotency="key",
    use_case="SyncUsageRecords or FanOutUsage",
    dispatched_by=("schedule fan_out_usage", "schedule fan_out_usage:month", "FanOutUsage"),
    unique=Unique("metric", "period_start", "after"),
):
    """Count one metric of a month and tell Stripe; without one, dispatch the jobs that do."""

    metric: str | None = None
    period_start: date | None = None
    after: UUID | None = None

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.billing.sync_usage_records(ctx, self.metric, self.period_start, after=self.after)
