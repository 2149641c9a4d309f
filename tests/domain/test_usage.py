"""What was used is told to Stripe as a total, however often it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from domain.jobs import (
    SyncUsageRecordsJob,
)
from domain.models import UsageEvent
from domain.system import SYSTEM
from domain.use_cases.billing import usage
from tests.domain.paying import CUSTOMER, a_customer

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def use(world: World, quantity: int, when: datetime | None = None) -> None:
    async with world.app.units.sessions.begin() as session:
        session.add(
            UsageEvent(
                metric="posts",
                source_type="scheduled_post",
                source_id=uuid4(),
                organization_id=world.tenant.organization_id,
                quantity=quantity,
                occurred_at=when or datetime.now(UTC),
            )
        )


def this_month() -> SyncUsageRecordsJob:
    return SyncUsageRecordsJob(metric="posts", period_start=datetime.now(UTC).date().replace(day=1))


@pytest.mark.trap("usage is counted up twice")
async def test_the_meter_has_the_total_however_often_it_is_told(world: World) -> None:
    await a_customer(world)
    await use(world, 3)
    for _ in range(2):
        await world.run(SyncUsageRecordsJob(), SYSTEM)
    assert world.stripe.total("posts", CUSTOMER) == 3
    assert len(world.stripe.state()["usage"]) == 1
    await use(world, 2)
    await world.run(SyncUsageRecordsJob(), SYSTEM)
    assert world.stripe.total("posts", CUSTOMER) == 5
    rows = await world.rows("SELECT seq, total, status FROM smm.usage_reports ORDER BY seq")
    assert [tuple(row) for row in rows] == [(1, 3, "sent"), (2, 5, "sent")]


async def test_the_hourly_round_takes_organizations_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SLICE", 1)
    await use(world, 3)
    async with world.app.units.sessions.begin() as session:
        session.add(
            UsageEvent(
                metric="posts",
                source_type="scheduled_post",
                source_id=uuid4(),
                organization_id=world.stranger.organization_id,
                quantity=8,
                occurred_at=datetime.now(UTC),
            )
        )
    await world.run(SyncUsageRecordsJob(), SYSTEM)
    rows = await world.rows("SELECT organization_id, quantity FROM smm.usage_records")
    assert {(row.organization_id, row.quantity) for row in rows} == {
        (world.tenant.organization_id, 3),
        (world.stranger.organization_id, 8),
    }


@pytest.mark.trap("the identifier of a report is unique for a day only")
async def test_a_lost_answer_tells_the_same_total_under_the_same_identifier(world: World) -> None:
    await a_customer(world)
    await use(world, 3)
    world.stripe.faults.set("drop")
    await world.run(this_month())
    await world.exhaust()
    assert await world.jobs("SyncUsageRecordsJob") == [("completed", 2)]
    assert len(world.stripe.state()["usage"]) == 1
    assert world.stripe.state()["calls"] == ["POST /v1/billing/meter_events"] * 2


async def test_usage_between_a_lost_answer_and_the_next_try_is_counted(world: World) -> None:
    await a_customer(world)
    await use(world, 3)
    world.stripe.faults.set("drop")
    await world.run(this_month())
    await use(world, 4)
    await world.exhaust()
    assert world.stripe.total("posts", CUSTOMER) == 7
    rows = await world.rows("SELECT total, status FROM smm.usage_reports ORDER BY seq")
    assert [tuple(row) for row in rows] == [(3, "rejected"), (7, "sent")]


async def test_a_dead_report_of_usage_is_sent_when_it_is_requeued(world: World) -> None:
    await a_customer(world)
    await use(world, 3)
    world.stripe.faults.set("error", calls=3)
    await world.run(this_month())
    await world.exhaust()
    assert await world.jobs("SyncUsageRecordsJob") == [("dead", 3)]
    await world.requeue("SyncUsageRecordsJob")
    assert world.stripe.total("posts", CUSTOMER) == 3
    assert len(world.stripe.state()["usage"]) == 1


async def test_a_month_that_is_over_is_told_within_it_and_closed(world: World) -> None:
    await a_customer(world)
    closed = datetime.now(UTC) - timedelta(hours=3)  # within the first hours a month is not closed yet
    first = closed.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await use(world, 6, first - timedelta(hours=1))
    start = (first - timedelta(hours=1)).date().replace(day=1)
    for _ in range(2):
        await world.run(SyncUsageRecordsJob(metric="posts", period_start=start))
    [record] = await world.rows("SELECT quantity, closed_at FROM smm.usage_records")
    assert record.quantity == 6
    assert record.closed_at is not None
    [told] = world.stripe.state()["usage"]
    assert told["timestamp"] < first.timestamp()


@pytest.mark.trap("usage of more than 35 days ago is refused")
async def test_usage_older_than_stripe_takes_is_a_matter_for_a_human(world: World) -> None:
    await a_customer(world)
    when = datetime.now(UTC) - timedelta(days=100)
    await use(world, 6, when)
    await world.run(SyncUsageRecordsJob(metric="posts", period_start=when.date().replace(day=1)))
    assert await world.jobs("SyncUsageRecordsJob") == [("dead", 1)]
    assert world.stripe.state()["calls"] == []


async def test_the_hourly_round_finds_a_month_that_nobody_closed(world: World) -> None:
    await a_customer(world)
    closed = datetime.now(UTC) - timedelta(hours=3)
    first = closed.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await use(world, 6, first - timedelta(days=3))
    start = (first - timedelta(days=3)).date().replace(day=1)
    await world.execute(
        """INSERT INTO smm.usage_records (organization_id, metric, period_start, period_end, quantity)
           VALUES (:organization, 'posts', :start, :end, 6)""",
        organization=world.tenant.organization_id,
        start=start,
        end=first.date(),
    )
    for _ in range(2):
        await world.run(SyncUsageRecordsJob(), SYSTEM)
    [record] = await world.rows("SELECT quantity, closed_at FROM smm.usage_records")
    assert record.quantity == 6
    assert record.closed_at is not None
    assert len(world.stripe.state()["usage"]) == 1


async def test_usage_of_somebody_who_pays_nothing_is_counted_and_not_told(world: World) -> None:
    await use(world, 3)
    await world.run(SyncUsageRecordsJob(), SYSTEM)
    [record] = await world.rows("SELECT quantity FROM smm.usage_records")
    assert record.quantity == 3
    assert world.stripe.state()["calls"] == []
