"""Stripe's events, what becomes of those who do not pay, and what they used."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from domain.gateways.breakers import Breakers
from domain.gateways.stripe import Forged, Stripe
from domain.gateways.stripe_calls import StripeAccess
from domain.jobs import (
    ProcessStripeWebhookJob,
)
from domain.system import SYSTEM
from pgqueue import Settings
from tests.domain.paying import (
    CUSTOMER,
    SUBSCRIPTION,
    a_customer,
    a_payer,
    notices,
    plan,
    receive,
    stripe_says,
    subscription,
)

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def test_an_event_leads_to_what_stripe_says_now(world: World) -> None:
    await a_payer(world)
    row = await subscription(world)
    assert (row.status, row.plan, await plan(world)) == ("active", "pro", "pro")
    assert row.organization_id == world.tenant.organization_id
    assert row.last_event_created is not None
    assert [each.status for each in await world.rows("SELECT status FROM smm.stripe_events")] == ["processed"]


@pytest.mark.trap("an event is replayed")
async def test_an_event_that_comes_three_times_is_stored_and_processed_once(world: World) -> None:
    await a_customer(world)
    told = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    assert [await receive(world, *told) for _ in range(3)] == [True, False, False]
    await world.work()
    assert await world.jobs("ProcessStripeWebhookJob") == [("completed", 1)]


@pytest.mark.trap("an event is replayed")
async def test_the_same_event_twice_at_once_is_stored_once(world: World) -> None:
    await a_customer(world)
    told = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    assert sorted(await asyncio.gather(*(receive(world, *told) for _ in range(4)))) == [False, False, False, True]


@pytest.mark.trap("a forged event")
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


@pytest.mark.trap("the signature of parsed JSON is checked")
async def test_the_same_json_in_other_bytes_is_refused(world: World) -> None:
    body, signature = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    with pytest.raises(Forged):
        await receive(world, json.dumps(json.loads(body)).encode(), signature)


@pytest.mark.trap("an event from the future is good for ever")
async def test_an_event_from_the_future_is_refused(world: World) -> None:
    """The library alone would accept it for ever."""
    body, _ = world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active")
    with pytest.raises(Forged, match="future"):
        await receive(world, *world.stripe.signed(json.loads(body), at=time.time() + 3_600))


@pytest.mark.trap("a forged event")
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


@pytest.mark.trap("an old event comes after a new one")
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


@pytest.mark.trap("an event comes before our own commit")
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
