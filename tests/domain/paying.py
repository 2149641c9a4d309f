"""Steps of the tests about money: an organization that pays, and what Stripe says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.system import SYSTEM

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy import Row

    from tests.domain.world import World


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


async def notices(world: World) -> list[str]:
    return [row.kind for row in await world.rows("SELECT kind FROM smm.notifications ORDER BY created_at, id")]
