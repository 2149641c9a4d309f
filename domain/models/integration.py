"""What leaves the system at a customer's wish: webhooks and reports."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.models.base import Base, CreatedAt, Document, Id, UpdatedAt, Words, needs, one_of
from domain.models.identity import Organization, User
from domain.models.states import (
    DELIVERY_MOVES,
    ENDPOINT_MOVES,
    REPORT_MOVES,
    DeliveryStatus,
    EndpointStatus,
    Machines,
    ReportStatus,
)


class WebhookEndpoint(Base):
    """A customer's address for events. Its secrets are sealed; the previous one signs until a moment."""

    MOVES: ClassVar[Machines] = {"status": ENDPOINT_MOVES}
    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        one_of("status", EndpointStatus),
        one_of("retry_schedule", ("short", "days")),
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_until IS NULL)", name="previous_secret_has_an_end"
        ),
        UniqueConstraint("organization_id", "id"),
        Index("webhook_endpoints_failing", "failing_since", postgresql_where=text("status = 'active'")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    url: Mapped[str]
    event_types: Mapped[Words]  # empty: all
    secret: Mapped[str]
    secret_kid: Mapped[str] = mapped_column(index=True)
    previous_secret: Mapped[str | None]
    previous_secret_until: Mapped[datetime | None]
    retry_schedule: Mapped[str] = mapped_column(default="short", server_default="short")
    status: Mapped[str] = mapped_column(default=EndpointStatus.ACTIVE.value, server_default="active")
    failing_since: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class WebhookEvent(Base):
    """What is told, as the very text that is signed: every attempt to every endpoint sends these bytes."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        # the signature is of id.timestamp.body: a dot in the id would make it ambiguous
        CheckConstraint("starts_with(id, 'msg_') AND strpos(id, '.') = 0", name="id_can_be_signed"),
        UniqueConstraint("organization_id", "id"),
        Index("webhook_events_with_body", "created_at", postgresql_where=text("body IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    type: Mapped[str]
    body: Mapped[str | None]  # NULL once it is old
    occurred_at: Mapped[datetime]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)


class WebhookDelivery(Base):
    """One event for one endpoint, and how the last attempt went."""

    MOVES: ClassVar[Machines] = {"status": DELIVERY_MOVES}
    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        one_of("status", DeliveryStatus),
        needs("delivered", "delivered_at"),
        UniqueConstraint("event_id", "endpoint_id"),
        ForeignKeyConstraint(
            ["organization_id", "event_id"], [WebhookEvent.organization_id, WebhookEvent.id], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["organization_id", "endpoint_id"],
            [WebhookEndpoint.organization_id, WebhookEndpoint.id],
            ondelete="CASCADE",
        ),
        Index("webhook_deliveries_of_endpoint", "endpoint_id", text("created_at DESC")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID]
    event_id: Mapped[str]
    endpoint_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(default=DeliveryStatus.PENDING.value, server_default="pending")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    replay_no: Mapped[int] = mapped_column(default=0, server_default="0")
    last_http_status: Mapped[int | None]
    last_error: Mapped[str | None]
    response_excerpt: Mapped[str | None]
    duration_ms: Mapped[int | None]
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    updated_at: Mapped[UpdatedAt]


class Report(Base):
    """A report as it was asked for. ``as_of`` is fixed, so that making it again gives the same."""

    MOVES: ClassVar[Machines] = {"status": REPORT_MOVES}
    __tablename__ = "reports"
    __table_args__ = (
        one_of("format", ("pdf", "csv")),
        one_of("status", ReportStatus),
        needs("ready", "storage_key", "byte_size", "sha256", "finished_at", "expires_at"),
        CheckConstraint("period_end >= period_start", name="period_has_a_length"),
        Index(
            "reports_requested",
            "organization_id",
            "kind",
            unique=True,  # one of a kind at a time
            postgresql_where=text("status = 'requested'"),
        ),
        Index("reports_of_organization", "organization_id", text("created_at DESC")),
    )

    id: Mapped[Id]
    organization_id: Mapped[UUID] = mapped_column(ForeignKey(Organization.id))
    requested_by: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    kind: Mapped[str]
    format: Mapped[str]
    period_start: Mapped[date]
    period_end: Mapped[date]
    params: Mapped[Document]
    as_of: Mapped[datetime]
    status: Mapped[str] = mapped_column(default=ReportStatus.REQUESTED.value, server_default="requested")
    storage_key: Mapped[str | None] = mapped_column(unique=True)
    byte_size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[bytes | None]
    row_count: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
