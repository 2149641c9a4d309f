"""What becomes of an organization that does not pay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.jobs import (
    CheckExpiredSubscriptionsJob,
    DowngradeToFreePlanJob,
)
from domain.models import Organization, SocialAccount, Subscription, new_id
from domain.system import SYSTEM
from domain.use_cases.billing import downgrading
from tests.domain.paying import CUSTOMER, SUBSCRIPTION, a_payer, notices, plan, receive, stripe_says, subscription

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World


pytestmark = pytest.mark.anyio


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


@pytest.mark.trap("a downgrade deletes what was paid for")
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


@pytest.mark.trap("the customer paid a minute ago")
async def test_a_customer_who_paid_a_minute_ago_is_not_downgraded(world: World) -> None:
    await a_payer(world, "past_due")
    await end_grace(world)
    world.stripe.set_subscription(SUBSCRIPTION, CUSTOMER, "active", tell=False)
    await world.run(CheckExpiredSubscriptionsJob(), SYSTEM)
    assert await plan(world) == "pro"
    row = await subscription(world)
    assert (row.status, row.grace_until) == ("active", None)
    assert not [call for call in world.stripe.state()["calls"] if call.startswith("DELETE")]


@pytest.mark.trap("a downgrade runs twice")
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
