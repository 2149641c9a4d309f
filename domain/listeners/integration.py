"""What follows from events of the context `integration`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs import DeliverWebhookJob, GenerateReportJob

if TYPE_CHECKING:
    from domain.events import OutgoingEvent, ReportRequested, WebhookDeliveriesReplayed
    from domain.unit_of_work import UnitOfWork


async def deliver(uow: UnitOfWork, event: OutgoingEvent) -> None:
    """Deliver to each endpoint in a job of its own."""
    for delivery_id in event.delivery_ids:
        await uow.dispatch(DeliverWebhookJob(delivery_id=delivery_id))


async def deliver_again(uow: UnitOfWork, event: WebhookDeliveriesReplayed) -> None:
    """Deliver once more."""
    for delivery_id in event.delivery_ids:
        await uow.dispatch(DeliverWebhookJob(delivery_id=delivery_id, replay_no=event.replay_no))


async def generate(uow: UnitOfWork, event: ReportRequested) -> None:
    """Make the report."""
    await uow.dispatch(GenerateReportJob(report_id=event.report_id))
