"""What organizations pay: their subscription as Stripe has it, Stripe's events, and what they used."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Id, UpdatedAt, needs, one_of
from domain.models.identity import Organization
from domain.models.plans import Plan
from domain.models.states import (
    STRIPE_EVENT_MOVES,
    SUBSCRIPTION_MOVES,
    USAGE_REPORT_MOVES,
    Machines,
    StripeEventStatus,
    SubscriptionStatus,
    UsageReportStatus,
)


class Subscription(Base):
    """A subscription as Stripe had it at ``synced_at``. An organization has one that lives, and those it had."""

    MOVES: ClassVar[Machines] = {"status": SUBSCRIPTION_MOVES}
    __tablename__ = "subscriptions"
    __table_args__ = (
        one_of("status", SubscriptionStatus),
        one_of("plan", Plan),
        needs("past_due", "past_due_since", "grace_until"),
        Index(
            "subscriptions_living",
            "organization_id",
            unique=True,
            postgresql_where=text("status NOT IN ('canceled', 'incomplete_expired')"),
        ),
        Index(
            "subscriptions_grace",
            "grace_until",
            postgresql_where=text("status IN ('past_due', 'unpaid')"),
        ),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id), index=True)
    stripe_subscription_id: Mapped[str] = mapped_column(unique=True)
    stripe_customer_id: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]
    plan: Mapped[str]
    current_period_start: Mapped[datetime | None]
    current_period_end: Mapped[datetime | None]
    past_due_since: Mapped[datetime | None]
    grace_until: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    synced_at: Mapped[datetime]
    last_event_created: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class StripeEvent(Base):
    """An event that Stripe signed; a second delivery of it meets the primary key."""

    MOVES: ClassVar[Machines] = {"status": STRIPE_EVENT_MOVES}
    __tablename__ = "stripe_events"
    __table_args__ = (
        one_of("status", StripeEventStatus),
        Index("stripe_events_pending", "received_at", postgresql_where=text("status = 'received'")),
        Index(
            "stripe_events_with_payload",
            "received_at",
            postgresql_where=text("payload IS NOT NULL AND status <> 'received'"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    api_version: Mapped[str | None]
    livemode: Mapped[bool]
    created: Mapped[datetime]
    customer_id: Mapped[str | None]  # Stripe's: two events of one customer are processed one after the other
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey(Organization.id), index=True)
    payload: Mapped[dict[str, Any] | None]  # NULL once it is old
    received_at: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)
    status: Mapped[str] = mapped_column(default=StripeEventStatus.RECEIVED.value, server_default="received")
    processed_at: Mapped[datetime | None]
    error: Mapped[str | None]


class UsageEvent(Base):
    """Something that is billed, appended in the transaction that did it: the key counts each source once."""

    __tablename__ = "usage_events"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("usage_events_period", "organization_id", "metric", "occurred_at"),
    )

    metric: Mapped[str] = mapped_column(primary_key=True)
    source_type: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    quantity: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(index=True)


class UsageRecord(Base):
    """What an organization used in a period, always counted anew from the events."""

    __tablename__ = "usage_records"
    __table_args__ = (
        CheckConstraint("period_end > period_start", name="period_has_a_length"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id), primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    period_start: Mapped[date] = mapped_column(primary_key=True)
    period_end: Mapped[date]  # the first day after it
    quantity: Mapped[int] = mapped_column(BigInteger)
    closed_at: Mapped[datetime | None]
    updated_at: Mapped[UpdatedAt]


class UsageReport(Base):
    """A total that Stripe is to have, written before the call. ``identifier`` is what Stripe knows a repeat by."""

    MOVES: ClassVar[Machines] = {"status": USAGE_REPORT_MOVES}
    __tablename__ = "usage_reports"
    __table_args__ = (
        one_of("status", UsageReportStatus),
        needs("sent", "sent_at"),
        ForeignKeyConstraint(
            ["organization_id", "metric", "period_start"],
            [UsageRecord.organization_id, UsageRecord.metric, UsageRecord.period_start],
        ),
        Index("usage_reports_pending", "event_time", postgresql_where=text("status = 'pending'")),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    period_start: Mapped[date] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identifier: Mapped[str] = mapped_column(unique=True)
    total: Mapped[int] = mapped_column(BigInteger)
    event_time: Mapped[datetime]
    status: Mapped[str] = mapped_column(default=UsageReportStatus.PENDING.value, server_default="pending")
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]
