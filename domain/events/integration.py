"""Webhooks and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """A customer's endpoints are to hear of something: event and deliveries are stored."""

    webhook_event_id: str
    delivery_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivered:
    """An endpoint has an event."""

    delivery_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDeliveryFailed:
    """An endpoint does not have an event, and no further attempt will be made."""

    delivery_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDeliveriesReplayed:
    """Failed deliveries are to be tried again."""

    delivery_ids: tuple[UUID, ...]
    replay_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpointDisabled:
    """An endpoint is not called any more."""

    endpoint_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequested:
    """Somebody wants a report."""

    report_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReady:
    """A report can be fetched."""

    report_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFailed:
    """A report cannot be made."""

    report_id: UUID
    code: str
