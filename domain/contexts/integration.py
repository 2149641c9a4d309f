"""What leaves the system at a customer's wish: webhooks and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.gateways.guard import Guard
from domain.gateways.webhooks import Webhooks
from domain.use_cases.forms import OneOrSweep
from domain.use_cases.integration.delivering import BuryDelivery, DeliverWebhook
from domain.use_cases.integration.endpoints import (
    DeleteEndpoint,
    EnableEndpoint,
    EndpointHealth,
    RegisterEndpoint,
    ReplayDeliveries,
    RotateSecret,
)
from domain.use_cases.integration.reports import BuryReport, GenerateReport, ReportLink, RequestReport

if TYPE_CHECKING:
    from uuid import UUID

    from domain.contexts import Parts


@dataclass(frozen=True, slots=True)
class Integration:
    """The use cases of this context."""

    register_endpoint: RegisterEndpoint
    rotate_secret: RotateSecret
    enable_endpoint: EnableEndpoint
    delete_endpoint: DeleteEndpoint
    replay_deliveries: ReplayDeliveries
    deliver_webhook: OneOrSweep[UUID, int]
    bury_delivery: BuryDelivery
    request_report: RequestReport
    generate_report: GenerateReport
    bury_report: BuryReport
    report_link: ReportLink


def integration(parts: Parts) -> Integration:
    """Put the context together."""
    units, vault, storage = parts.units, parts.vault, parts.storage
    guard = Guard(parts.configuration.webhook_exceptions)
    webhooks = Webhooks(guard, parts.breakers, deadline=parts.configuration.webhook_deadline)
    return Integration(
        register_endpoint=RegisterEndpoint(units, webhooks, vault),
        rotate_secret=RotateSecret(units, vault),
        enable_endpoint=EnableEndpoint(units, webhooks),
        delete_endpoint=DeleteEndpoint(units),
        replay_deliveries=ReplayDeliveries(units),
        deliver_webhook=OneOrSweep(DeliverWebhook(units, webhooks, vault), EndpointHealth(units)),
        bury_delivery=BuryDelivery(units),
        request_report=RequestReport(units),
        generate_report=GenerateReport(units, storage),
        bury_report=BuryReport(units),
        report_link=ReportLink(units, storage),
    )
