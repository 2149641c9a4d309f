"""Stripe's events, what becomes of those who do not pay, and what they used."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from domain.gateways.breakers import Breakers
from domain.gateways.stripe import Forged, Stripe, StripeAccess
from domain.jobs import (
    CheckExpiredSubscriptionsJob,
    DowngradeToFreePlanJob,
    ProcessStripeWebhookJob,
    SyncUsageRecordsJob,
)
from domain.models import Organization, SocialAccount, Subscription, UsageEvent, new_id
from domain.schedules import SYSTEM
from domain.use_cases.billing import downgrading, usage

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Row

    from tests.domain.world import World

pytestmark = pytest.mark.anyio

CUSTOMER = "cus_aurora"
SUBSCRIPTION = "sub_1"


async def receive(world: World, body: bytes, signature: str | None) -> bool:
    return await world.app.billing.receive_stripe_event(SYSTEM, body, signature)


async def a_customer(world: World) -> None:
    await world.execute(
        "UPDATE smm.organizations SET stripe_customer_id = :customer WHERE id = :id",
        customer=CUSTOMER,
        id=world.tenant.organization_id,
    )


async def stripe_says(world: World, status: str, *, plan: str = "pro") -> None:
    """Let Stripe change the subscription, tell us, and let us follow."""
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, status, plan=plan))
    await world.work()


async def a_payer(world: World, status: str = "active") -> UUID:
    await a_customer(world)
    await stripe_says(world, "active")
    if status != "active":
        await stripe_says(world, status)
    return (await subscription(world)).id  # type: ignore[no-any-return] # a row


async def subscription(world: World) -> Row[Any]:
    [row] = await world.rows("SELECT * FROM smm.subscriptions")
    return row


async def plan(world: World) -> str:
    [row] = await world.rows("SELECT plan FROM smm.organizations WHERE id = :id", id=world.tenant.organization_id)
    return str(row.plan)


async def end_grace(world: World) -> None:
    await world.execute("UPDATE smm.subscriptions SET grace_until = now() - interval '1 minute'")


async def accounts(world: World, count: int) -> list[UUID]:
    """Give the tenant more accounts; the later ones published later."""
    async with world.app.units.sessions.begin() as session:
        first = await session.get_one(SocialAccount, world.tenant.account_id)
        rows = [
            SocialAccount(
                id=new_id(),
                organization_id=first.organization_id,
                provider="mastodon",
                base_url=first.base_url,
                external_id=f"more-{number}",
                handle=f"@more-{number}",
                connected_by=first.connected_by,
                credentials=first.credentials,
                credentials_kid=first.credentials_kid,
            )
            for number in range(count)
        ]
        session.add_all(rows)
    return [row.id for row in rows]


async def notices(world: World) -> list[str]:
    return [row.kind for row in await world.rows("SELECT kind FROM smm.notifications ORDER BY created_at, id")]


# ------------------------------------------------------------------ events


async def test_an_event_leads_to_what_stripe_says_now(world: World) -> None:
    await a_payer(world)
    row = await subscription(world)
    assert (row.status, row.plan, await plan(world)) == ("active", "pro", "pro")
    assert row.organization_id == world.tenant.organization_id
    assert row.last_event_created is not None
    assert [each.status for each in await world.rows("SELECT status FROM smm.stripe_events")] == ["processed"]


async def test_an_event_that_comes_three_times_is_stored_and_processed_once(world: World) -> None:
    await a_customer(world)
    told = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    assert [await receive(world, *told) for _ in range(3)] == [True, False, False]
    await world.work()
    assert await world.jobs("ProcessStripeWebhookJob") == [("completed", 1)]


async def test_the_same_event_twice_at_once_is_stored_once(world: World) -> None:
    await a_customer(world)
    told = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    assert sorted(await asyncio.gather(*(receive(world, *told) for _ in range(4)))) == [False, False, False, True]


@pytest.mark.parametrize("case", ["another body", "another secret", "no signature", "garbage", "old", "not an event"])
async def test_a_forged_event_is_refused(world: World, case: str) -> None:
    body, signature = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    forged: dict[str, tuple[bytes, str | None]] = {
        "another body": (body.replace(b'"active"', b'"unpaid"'), signature),
        "another secret": (body, signature[:-4] + "0000"),
        "no signature": (body, None),
        "garbage": (b"\xff\x00", "t=x,v1=,,="),
        "old": world.stripe.signed(json.loads(body), at=time.time() - 301),
        "not an event": world.stripe.signed({"hello": "world"}),
    }
    with pytest.raises(Forged):
        await receive(world, *forged[case])
    assert await world.rows("SELECT FROM smm.stripe_events") == []


async def test_the_same_json_in_other_bytes_is_refused(world: World) -> None:
    body, signature = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    with pytest.raises(Forged):
        await receive(world, json.dumps(json.loads(body)).encode(), signature)


async def test_an_event_from_the_future_is_refused(world: World) -> None:
    """The library alone would accept it for ever."""
    body, _ = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    with pytest.raises(Forged, match="future"):
        await receive(world, *world.stripe.signed(json.loads(body), at=time.time() + 3_600))


async def test_without_a_secret_no_event_is_accepted(world: World) -> None:
    """An empty key signs as well as any other."""
    access = StripeAccess(world.stripe.url, world.stripe.api_key, "")
    async with httpx.AsyncClient(trust_env=False) as http:
        gateway = Stripe(http, Breakers(Settings(environment={})), access, deadline=timedelta(seconds=1))
        world.stripe.webhook_secret = ""
        with pytest.raises(Forged, match="secret"):
            gateway.verify(*world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))


async def test_a_payment_that_is_due_when_we_first_hear_of_it_has_its_grace_with_the_plan(world: World) -> None:
    await a_customer(world)
    await stripe_says(world, "past_due")
    assert await plan(world) == "pro"
    assert (await subscription(world)).grace_until is not None


async def test_an_event_of_the_other_mode_is_refused(world: World) -> None:
    body, _ = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    with pytest.raises(Forged, match="mode"):
        await receive(world, *world.stripe.signed(json.loads(body) | {"livemode": True}))


async def test_an_old_event_after_a_new_one_changes_nothing(world: World) -> None:
    await a_customer(world)
    first = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    second = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "past_due")
    third = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    for told in (third, second, first):
        await receive(world, *told)
        await world.work()
    row = await subscription(world)
    assert (row.status, row.grace_until) == ("active", None)
    assert await notices(world) == []


async def test_a_failed_payment_starts_the_grace_once_and_a_paid_one_ends_it(world: World) -> None:
    await a_payer(world, "past_due")
    first = await subscription(world)
    assert first.grace_until - first.past_due_since == timedelta(days=7)
    await stripe_says(world, "past_due")
    assert (await subscription(world)).grace_until == first.grace_until
    assert await plan(world) == "pro"
    await stripe_says(world, "active")
    row = await subscription(world)
    assert (row.status, row.past_due_since, row.grace_until) == ("active", None, None)
    assert await notices(world) == ["subscription_past_due", "subscription_recovered"]


async def test_an_event_before_our_own_commit_is_tried_again(world: World) -> None:
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))
    await world.work()
    assert await world.jobs("ProcessStripeWebhookJob") == [("waiting", 1)]
    await a_customer(world)
    await world.make_due()
    await world.work()
    assert await plan(world) == "pro"


async def test_an_event_of_an_unknown_customer_dies_and_can_be_requeued(world: World) -> None:
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))
    await world.exhaust()
    assert await world.jobs("ProcessStripeWebhookJob") == [("dead", 3)]
    [event] = await world.rows("SELECT status, error FROM smm.stripe_events")
    assert event.status == "failed"
    assert CUSTOMER in event.error
    await a_customer(world)
    await world.requeue("ProcessStripeWebhookJob")
    assert await plan(world) == "pro"
    assert [row.status for row in await world.rows("SELECT status FROM smm.stripe_events")] == ["processed"]


async def test_events_about_other_things_are_ignored(world: World) -> None:
    await a_customer(world)
    await receive(world, *world.stripe.event("payout.paid", {"object": "payout", "id": "po_1"}))
    await world.work()
    assert [row.status for row in await world.rows("SELECT status FROM smm.stripe_events")] == ["ignored"]
    assert world.stripe.state()["calls"] == []


async def test_processing_an_event_twice_is_processing_it_once(world: World) -> None:
    await a_payer(world)
    before, calls = await subscription(world), world.stripe.state()["calls"]
    [event] = await world.rows("SELECT id FROM smm.stripe_events")
    await world.run(ProcessStripeWebhookJob(stripe_event_id=event.id), SYSTEM)
    assert await world.jobs("ProcessStripeWebhookJob") == [("completed", 1)] * 2
    assert (await subscription(world), world.stripe.state()["calls"]) == (before, calls)


async def test_two_events_of_one_customer_wait_for_each_other(world: World) -> None:
    """Else an answer that was fetched first could be stored last."""
    await a_customer(world)
    lock = world.queue.lock(f"stripe:{CUSTOMER}", ttl="30s")
    assert await lock.acquire()
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))
    await world.work()
    assert await world.jobs("ProcessStripeWebhookJob") == [("waiting", 0)]
    assert world.stripe.state()["calls"] == []
    await lock.release()
    await world.make_due()
    await world.work()
    assert await plan(world) == "pro"


async def test_stripe_asking_for_patience_spends_no_attempt(world: World) -> None:
    await a_customer(world)
    world.stripe.faults.set("rate_limit", seconds=30)
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))
    await world.work()
    assert await world.jobs("ProcessStripeWebhookJob") == [("waiting", 0)]


async def test_a_stripe_that_drips_or_fails_is_asked_again(world: World) -> None:
    await a_customer(world)
    world.stripe.faults.set("slow", seconds=3)
    world.stripe.faults.set("error")
    await receive(world, *world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active"))
    await world.exhaust()
    assert await world.jobs("ProcessStripeWebhookJob") == [("completed", 3)]
    assert await plan(world) == "pro"


async def test_two_living_subscriptions_are_a_matter_for_a_human(world: World) -> None:
    await a_payer(world)
    await receive(world, *world.stripe.set_subscription("sub_2", CUSTOMER, "active"))
    await world.work()
    assert [state for state, _ in await world.jobs("ProcessStripeWebhookJob")] == ["completed", "dead"]
    assert (await subscription(world)).status == "active"


async def test_a_new_subscription_beside_the_end_of_an_old_one_keeps_the_plan(world: World) -> None:
    await a_payer(world)
    world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "canceled")
    await receive(world, *world.stripe.set_subscription("sub_2", CUSTOMER, "active", plan="business"))
    await world.work()
    assert await plan(world) == "business"
    assert await world.jobs("DowngradeToFreePlanJob") == []


async def test_events_that_never_reached_us_are_found_once(world: World) -> None:
    await a_customer(world)
    for status in ("active", "past_due", "active"):
        told = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, status)
    await receive(world, *told)
    for number in range(150):
        world.stripe.event("payout.paid", {"object": "payout", "id": f"po_{number}"})
    for _ in range(2):
        await world.run(ProcessStripeWebhookJob(), SYSTEM)
        await world.exhaust()  # events of one customer wait for each other
    assert len(await world.rows("SELECT FROM smm.stripe_events")) == 153
    assert (await subscription(world)).status == "active"
    found = await world.jobs("ProcessStripeWebhookJob")
    assert len(found) == 155
    assert {state for state, _ in found} == {"completed"}


# ------------------------------------------------------------------ downgrade


async def test_after_the_grace_the_organization_is_on_the_free_plan_and_keeps_everything(world: World) -> None:
    await a_payer(world, "past_due")
    more = await accounts(world, 2)
    later = datetime.now(UTC) + timedelta(days=1)
    post_id = await world.schedule(when=later)
    await world.execute(
        """UPDATE smm.scheduled_posts SET social_account_id = :account WHERE id = :id""", account=max(more), id=post_id
    )
    await end_grace(world)
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    assert await plan(world) == "free"
    assert world.stripe.state()["subscriptions"] == {SUBSCRIPTION: "canceled"}
    rows = await world.rows(
        "SELECT status, status_reason FROM smm.social_accounts WHERE organization_id = :id ORDER BY status, id",
        id=world.tenant.organization_id,
    )
    assert [tuple(row) for row in rows] == [("active", None)] * 2 + [("disabled", "plan_limit")]
    post = await world.post(post_id)
    assert (post.status, post.paused_from, post.paused_reason) == ("paused", "scheduled", "plan_limit")
    assert await notices(world) == ["subscription_past_due", "plan_downgraded"]


async def test_a_customer_who_paid_a_minute_ago_is_not_downgraded(world: World) -> None:
    await a_payer(world, "past_due")
    await end_grace(world)
    world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active", tell=False)
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    assert await plan(world) == "pro"
    row = await subscription(world)
    assert (row.status, row.grace_until) == ("active", None)
    assert not [call for call in world.stripe.state()["calls"] if call.startswith("DELETE")]


async def test_downgrading_twice_is_downgrading_once(world: World) -> None:
    subscription_id = await a_payer(world, "past_due")
    await accounts(world, 3)
    await end_grace(world)
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    before = await world.rows("SELECT id, status, updated_at FROM smm.social_accounts ORDER BY id")
    calls = world.stripe.state()["calls"]
    await world.run(DowngradeToFreePlanJob(subscription_id=subscription_id, reason="again"))
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    assert await world.rows("SELECT id, status, updated_at FROM smm.social_accounts ORDER BY id") == before
    assert world.stripe.state()["calls"] == calls
    assert (await notices(world)).count("plan_downgraded") == 1


async def test_the_hourly_check_dispatches_one_downgrade(world: World) -> None:
    await a_payer(world, "past_due")
    await end_grace(world)
    world.stripe.service.close()
    for _ in range(3):
        await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    states = [state for state, _ in await world.jobs("DowngradeToFreePlanJob")]
    assert states.count("waiting") == 1
    assert set(states) <= {"waiting", "merged"}
    assert await plan(world) == "pro"


async def test_a_dead_downgrade_can_be_requeued(world: World) -> None:
    await a_payer(world, "past_due")
    await end_grace(world)
    world.stripe.faults.set("error", calls=3)
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    await world.exhaust()
    assert await world.jobs("DowngradeToFreePlanJob") == [("dead", 3)]
    assert await plan(world) == "pro"
    await world.requeue("DowngradeToFreePlanJob")
    assert await plan(world) == "free"


async def test_a_lost_answer_to_the_cancellation_cancels_once(world: World) -> None:
    await a_payer(world)
    world.stripe.faults.set("slow", calls=2, seconds=0)  # the two questions before it
    world.stripe.faults.set("drop")
    await stripe_says(world, "unpaid")
    assert world.stripe.state()["subscriptions"] == {SUBSCRIPTION: "canceled"}
    assert await world.jobs("DowngradeToFreePlanJob") == [("waiting", 1)]
    assert await plan(world) == "pro"
    await world.make_due()
    await world.work()
    assert await plan(world) == "free"
    assert len([call for call in world.stripe.state()["calls"] if call.startswith("DELETE")]) == 1


async def test_subscriptions_are_looked_at_in_slices_and_each_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downgrading, "SLICE", 2)
    async with world.app.units.sessions.begin() as session:
        for number in range(5):
            organization = Organization(id=new_id(), name=f"o{number}", slug=f"o{number}", plan="pro")
            session.add(organization)
            await session.flush()
            past = datetime.now(UTC) - timedelta(days=8)
            session.add(
                Subscription(
                    organization_id=organization.id,
                    stripe_subscription_id=f"sub_o{number}",
                    stripe_customer_id=f"cus_o{number}",
                    status="past_due",
                    plan="pro",
                    past_due_since=past,
                    grace_until=past + timedelta(days=7),
                    synced_at=past,
                )
            )
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    assert await world.jobs("CheckExpiredSubscriptionsJob") == [("completed", 1)] * 3
    rows = await world.rows(
        "SELECT organization_id, user_id FROM pgqueue.all_jobs WHERE kind = 'DowngradeToFreePlanJob'"
    )
    assert len(rows) == len({row.organization_id for row in rows}) == 5
    assert SYSTEM.organization_id not in {row.organization_id for row in rows}


async def test_a_larger_plan_gives_back_what_the_smaller_one_took(world: World) -> None:
    await a_payer(world, "canceled")
    more = await accounts(world, 2)
    await world.execute("UPDATE smm.organizations SET plan = 'free'")
    await world.execute(
        "UPDATE smm.social_accounts SET status = 'disabled', status_reason = 'plan_limit' WHERE id = ANY(:ids)",
        ids=more,
    )
    now = datetime.now(UTC)
    post_ids = [await world.schedule(when=now + timedelta(days=days)) for days in (1, 2)]
    await world.execute(
        """UPDATE smm.scheduled_posts SET social_account_id = :account, status = 'paused', paused_from = 'scheduled',
           paused_reason = 'plan_limit'""",
        account=more[0],
    )
    await world.execute(
        "UPDATE smm.scheduled_posts SET scheduled_at = now() - interval '1 day' WHERE id = :id", id=post_ids[0]
    )
    await receive(world, *world.stripe.set_subscription("sub_2", CUSTOMER, "active"))
    await world.work()
    assert await plan(world) == "pro"
    rows = await world.rows("SELECT DISTINCT status FROM smm.social_accounts WHERE id = ANY(:ids)", ids=more)
    assert [row.status for row in rows] == ["active"]
    assert [(await world.post(post_id)).status for post_id in post_ids] == ["missed", "scheduled"]


async def test_nobody_downgrades_a_stranger(world: World) -> None:
    subscription_id = await a_payer(world, "past_due")
    await world.run(DowngradeToFreePlanJob(subscription_id=subscription_id, reason="x"), world.stranger.context)
    assert await world.jobs("DowngradeToFreePlanJob") == [("discarded", 1)]
    assert await plan(world) == "pro"


# ------------------------------------------------------------------ usage


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
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await use(world, 6, first - timedelta(hours=1))
    start = (first - timedelta(hours=1)).date().replace(day=1)
    for _ in range(2):
        await world.run(SyncUsageRecordsJob(metric="posts", period_start=start))
    [record] = await world.rows("SELECT quantity, closed_at FROM smm.usage_records")
    assert record.quantity == 6
    assert record.closed_at is not None
    [told] = world.stripe.state()["usage"]
    assert told["timestamp"] < first.timestamp()


async def test_usage_older_than_stripe_takes_is_a_matter_for_a_human(world: World) -> None:
    await a_customer(world)
    when = datetime.now(UTC) - timedelta(days=100)
    await use(world, 6, when)
    await world.run(SyncUsageRecordsJob(metric="posts", period_start=when.date().replace(day=1)))
    assert await world.jobs("SyncUsageRecordsJob") == [("dead", 1)]
    assert world.stripe.state()["calls"] == []


async def test_usage_of_somebody_who_pays_nothing_is_counted_and_not_told(world: World) -> None:
    await use(world, 3)
    await world.run(SyncUsageRecordsJob(), SYSTEM)
    [record] = await world.rows("SELECT quantity FROM smm.usage_records")
    assert record.quantity == 3
    assert world.stripe.state()["calls"] == []
