"""An organization pays on Stripe's page, and what Stripe then tells us gives it its plan."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from domain.gateways.failures import AuthExpired, GatewayError, RateLimited, UnknownOutcome
from domain.use_cases.administration.operators import Forbidden
from domain.use_cases.billing.paying import NotForSale
from domain.use_cases.organizations.authorizing import NotAMember
from pgqueue import Context
from tests.domain.paying import a_payer, plan, receive

if TYPE_CHECKING:
    from domain.standins.faults import Kind
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


def owner(world: World) -> Context:
    return Context(str(world.tenant.organization_id), str(world.tenant.owner_id))


async def customer(world: World) -> str | None:
    [row] = await world.rows(
        "SELECT stripe_customer_id FROM smm.organizations WHERE id = :id", id=world.tenant.organization_id
    )
    return row.stripe_customer_id  # type: ignore[no-any-return] # a row


async def test_who_pays_on_the_page_has_the_plan_when_stripe_says_so(world: World) -> None:
    page = await world.app.billing.start_checkout(owner(world), "pro")
    [session] = world.stripe.state()["checkouts"]
    assert page.url == session["url"]
    assert page.expires_at is not None
    assert session["client_reference_id"] == str(world.tenant.organization_id)
    assert session["customer"] == await customer(world)
    assert await plan(world) == "free"
    completed, created = world.stripe.pay(session["id"])
    await receive(world, *completed)
    await world.work()
    assert await plan(world) == "pro"
    await receive(world, *created)
    await world.work()
    assert await plan(world) == "pro"
    assert {row.status for row in await world.rows("SELECT status FROM smm.stripe_events")} == {"processed"}


async def test_the_same_wish_twice_is_one_customer_and_one_page(world: World) -> None:
    start = world.app.billing.start_checkout
    pages = await asyncio.gather(*(start(owner(world), "pro", key="the same click") for _ in range(3)))
    assert len({page.url for page in pages}) == 1
    assert len(world.stripe.state()["checkouts"]) == 1
    other = await start(owner(world), "business", key="the same click")
    assert other.url != pages[0].url
    assert {each["customer"] for each in world.stripe.state()["checkouts"]} == {await customer(world)}


async def test_a_lost_answer_is_made_good_by_the_same_key(world: World) -> None:
    start = world.app.billing.start_checkout
    first = await start(owner(world), "pro", key="a")  # the customer is known now
    world.stripe.faults.set("drop", calls=2)
    with pytest.raises(GatewayError):
        await start(owner(world), "pro", key="b")
    world.stripe.faults.clear()
    second = await start(owner(world), "pro", key="b")
    assert second.url != first.url
    assert len(world.stripe.state()["checkouts"]) == 2


@pytest.mark.parametrize(("kind", "failure"), [("error", GatewayError), ("rate_limit", RateLimited)])
async def test_a_stripe_that_fails_opens_nothing(world: World, kind: Kind, failure: type[GatewayError]) -> None:
    world.stripe.faults.set(kind)
    with pytest.raises(failure):
        await world.app.billing.start_checkout(owner(world), "pro")
    assert await customer(world) is None
    await world.app.billing.start_checkout(owner(world), "pro")


async def test_a_stripe_that_is_slow_or_refuses_us_is_told_apart(world: World) -> None:
    world.stripe.faults.set("unauthorized")
    with pytest.raises(AuthExpired):
        await world.app.billing.start_checkout(owner(world), "pro")
    world.stripe.faults.set("slow", seconds=1.5)
    with pytest.raises(UnknownOutcome):
        await world.app.billing.start_checkout(owner(world), "pro")


@pytest.mark.parametrize("wished", ["free", "", "gold", "PRO", "pro\x00"])
async def test_what_is_not_for_sale_is_not_sold(world: World, wished: str) -> None:
    with pytest.raises(NotForSale):
        await world.app.billing.start_checkout(owner(world), wished)
    assert world.stripe.state()["calls"] == []


async def test_whoever_pays_already_goes_to_the_portal(world: World) -> None:
    with pytest.raises(NotForSale):
        await world.app.billing.open_billing_portal(owner(world))
    await world.app.billing.start_checkout(owner(world), "pro")
    [session] = world.stripe.state()["checkouts"]
    for event in world.stripe.pay(session["id"]):
        await receive(world, *event)
    await world.work()
    with pytest.raises(NotForSale, match="portal"):
        await world.app.billing.start_checkout(owner(world), "business")
    page = await world.app.billing.open_billing_portal(owner(world))
    assert page.url.endswith(session["customer"])
    assert "http" not in repr(page)


async def test_whoever_is_late_with_a_payment_is_not_sold_a_second_subscription(world: World) -> None:
    await a_payer(world, "past_due")
    with pytest.raises(NotForSale):
        await world.app.billing.start_checkout(owner(world), "pro")


async def test_owners_alone_pay_and_only_for_their_own(world: World) -> None:
    with pytest.raises(Forbidden):
        await world.app.billing.start_checkout(world.tenant.context, "pro")
    with pytest.raises(Forbidden):
        await world.app.billing.open_billing_portal(world.tenant.context)
    foreign = Context(str(world.stranger.organization_id), str(world.tenant.owner_id))
    with pytest.raises(NotAMember):
        await world.app.billing.start_checkout(foreign, "pro")
    assert world.stripe.state()["calls"] == []
