"""Jobs of the context `integration`: each calls one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pgqueue import Job, Retry, Unique

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.composition import Application
    from pgqueue import Death, JobContext, Outcome


class DeliverWebhookJob(
    Job,
    queue="default",
    timeout="90s",
    retry=Retry(max_attempts=4, backoff=["60s", "300s", "1800s"]),
    idempotency="state check",
    use_case="DeliverWebhook or EndpointHealth",
    dispatched_by=("OutgoingEvent", "WebhookDeliveriesReplayed", "schedule endpoint_health"),
    unique=Unique("delivery_id", "replay_no"),
):
    """Deliver one event to one endpoint; without one, look after the endpoints that fail."""

    delivery_id: UUID | None = None
    replay_no: int = 0

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.integration.deliver_webhook(ctx, self.delivery_id, self.replay_no)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the endpoint does not have the event."""
        await app.integration.bury_delivery(session, self.delivery_id, death)


class GenerateReportJob(
    Job,
    queue="low",
    timeout="600s",
    retry=Retry(max_attempts=3, backoff=["60s", "300s", "900s"]),
    idempotency="state check",
    use_case="GenerateReport",
    dispatched_by=("ReportRequested",),
    unique=Unique("report_id"),
):
    """Make one report."""

    report_id: UUID

    async def run(self, app: Application, ctx: JobContext) -> Outcome | None:
        """Call the use case."""
        return await app.integration.generate_report(ctx, self.report_id)

    async def on_dead(self, app: Application, session: AsyncSession, death: Death) -> None:
        """Say that the report was not made."""
        await app.integration.bury_report(session, self.report_id, death)
