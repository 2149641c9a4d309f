"""Scenes of customers: their files, their money, what is sent to them, what is kept for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from domain.jobs import (
    CheckExpiredSubscriptionsJob,
    DeliverWebhookJob,
    ProcessStripeWebhookJob,
    PurgeExpiredRecordsJob,
    ScanMediaJob,
    SyncUsageRecordsJob,
)
from domain.models import UsageEvent
from tests.domain import files
from tests.domain.endpoints import an_endpoint, tell
from tests.domain.paying import CUSTOMER, SUBSCRIPTION, a_customer, a_payer

if TYPE_CHECKING:
    from tests.domain.scenes.stage import Scene, Stage


async def _uploaded_and_forgotten(stage: Stage) -> None:
    await _upload(stage)
    await stage.world.execute("DELETE FROM pgqueue.outbox")
    await stage.world.execute("UPDATE smm.media SET created_at = created_at - interval '11 minutes'")
    await stage.tick(ScanMediaJob())


async def _uploaded(stage: Stage) -> None:
    await _upload(stage)
    await stage.world.work()


async def _upload(stage: Stage) -> None:
    await stage.world.app.media.register_upload(
        stage.world.tenant.context,
        filename="pão.jpg",
        declared_type="image/jpeg",
        chunks=files.stream(files.an_image(size=(90, 60))),
    )


async def _paid_and_not_told_of_all(stage: Stage) -> None:
    await a_payer(stage.world)
    stage.world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "past_due")  # its event never comes
    await stage.tick(ProcessStripeWebhookJob())
    events = await stage.world.rows("SELECT status FROM smm.stripe_events")
    assert [event.status for event in events] == ["processed"] * 2


async def _grace_is_over(stage: Stage) -> None:
    await a_payer(stage.world, "past_due")
    await stage.world.execute("UPDATE smm.subscriptions SET grace_until = now() - interval '1 minute'")
    await stage.tick(CheckExpiredSubscriptionsJob())


async def _used(stage: Stage) -> None:
    await a_customer(stage.world)
    async with stage.world.app.units.sessions.begin() as session:
        session.add(
            UsageEvent(
                metric="posts",
                source_type="scheduled_post",
                source_id=uuid4(),
                organization_id=stage.world.tenant.organization_id,
                quantity=3,
                occurred_at=datetime.now(UTC),
            )
        )
    await stage.tick(SyncUsageRecordsJob())


async def _an_endpoint_hears(stage: Stage) -> None:
    await an_endpoint(stage.world)
    await tell(stage.world)
    await stage.world.work()
    await stage.tick(DeliverWebhookJob())


async def _a_report_is_wanted(stage: Stage) -> None:
    await stage.world.schedule()
    await stage.world.work()
    today = datetime.now(UTC).date()
    await stage.world.app.integration.request_report(
        stage.world.tenant.context,
        "engagement",
        file_format="csv",
        period_start=today - timedelta(days=1),
        period_end=today,
    )
    await stage.world.work()


async def _sessions_are_over(stage: Stage) -> None:
    await stage.world.execute(
        """INSERT INTO smm.sessions (id, user_id, token_hash, epoch, expires_at)
           SELECT gen_random_uuid(), :id, sha256(n::text::bytea), 0, now() - make_interval(days => n)
           FROM generate_series(29, 32) n""",
        id=stage.world.tenant.author_id,
    )
    await stage.tick(PurgeExpiredRecordsJob(retention="sessions"))


SCENES: dict[str, Scene] = {
    "ScanMediaJob": _uploaded_and_forgotten,
    "GenerateThumbnailJob": _uploaded,
    "ProcessStripeWebhookJob": _paid_and_not_told_of_all,
    "CheckExpiredSubscriptionsJob": _grace_is_over,
    "DowngradeToFreePlanJob": _grace_is_over,
    "SyncUsageRecordsJob": _used,
    "DeliverWebhookJob": _an_endpoint_hears,
    "GenerateReportJob": _a_report_is_wanted,
    "PurgeExpiredRecordsJob": _sessions_are_over,
}
