"""Webhook endpoints, their deliveries, and reports: the lists and the single ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.models import Report, WebhookDelivery, WebhookEndpoint, WebhookEvent
from domain.use_cases.reading.pages import NotFound, Page, page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.reading.pages import Wanted
    from pgqueue import Context


@dataclass(frozen=True, slots=True)
class ListEndpoints:
    """The webhook endpoints of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[WebhookEndpoint]:
        """Return a page, newest first."""
        async with self.units.begin(context) as uow:
            query = select(WebhookEndpoint).where(WebhookEndpoint.organization_id == uow.organization_id)
            return await page(uow, query, [WebhookEndpoint.id], wanted)


@dataclass(frozen=True, slots=True)
class GetEndpoint:
    """One webhook endpoint."""

    units: UnitsOfWork

    async def __call__(self, context: Context, endpoint_id: UUID) -> WebhookEndpoint:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            return await _the_endpoint(uow, endpoint_id)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A page of deliveries, and the type of each event that they speak of."""

    page: Page[WebhookDelivery]
    event_types: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """What was sent to an endpoint, and how that went."""

    units: UnitsOfWork

    async def __call__(self, context: Context, endpoint_id: UUID, wanted: Wanted) -> Deliveries:
        """Return a page, newest first. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            endpoint = await _the_endpoint(uow, endpoint_id)
            query = select(WebhookDelivery).where(
                WebhookDelivery.organization_id == uow.organization_id, WebhookDelivery.endpoint_id == endpoint.id
            )
            found = await page(uow, query, [WebhookDelivery.created_at, WebhookDelivery.id], wanted)
            types = await uow.session.execute(
                select(WebhookEvent.id, WebhookEvent.type).where(
                    WebhookEvent.organization_id == uow.organization_id,
                    WebhookEvent.id.in_({row.event_id for row in found.items}),
                )
            )
            return Deliveries(found, dict(types.all()))


@dataclass(frozen=True, slots=True)
class ListReports:
    """The reports of an organization."""

    units: UnitsOfWork

    async def __call__(self, context: Context, wanted: Wanted) -> Page[Report]:
        """Return a page, newest first."""
        async with self.units.begin(context) as uow:
            query = select(Report).where(Report.organization_id == uow.organization_id)
            return await page(uow, query, [Report.created_at, Report.id], wanted)


@dataclass(frozen=True, slots=True)
class GetReport:
    """One report."""

    units: UnitsOfWork

    async def __call__(self, context: Context, report_id: UUID) -> Report:
        """Return it. Raises `NotFound`."""
        async with self.units.begin(context) as uow:
            row = await uow.session.scalar(
                select(Report).where(Report.organization_id == uow.organization_id, Report.id == report_id)
            )
            if row is None:
                raise NotFound(f"there is no report {report_id} in this organization")
            return row


async def _the_endpoint(uow: UnitOfWork, endpoint_id: UUID) -> WebhookEndpoint:
    row = await uow.session.scalar(
        select(WebhookEndpoint).where(
            WebhookEndpoint.organization_id == uow.organization_id, WebhookEndpoint.id == endpoint_id
        )
    )
    if row is None:
        raise NotFound(f"there is no endpoint {endpoint_id} in this organization")
    return row
