"""Steps of the tests about webhooks: an endpoint, an event, and what arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.models import WebhookEndpoint
from domain.use_cases.integration.outgoing import tell_endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from domain.use_cases.integration.endpoints import Registered
    from tests.domain.world import World


KIND = "DeliverWebhookJob"


async def an_endpoint(world: World, path: str = "/hook", **options: Any) -> Registered:
    registered = await world.app.integration.register_endpoint(
        world.tenant.context, world.receiver.url + path, **options
    )
    world.receiver.trust(registered.secret)
    return registered


async def tell(world: World, **data: Any) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        await tell_endpoints(uow, "post.published", data or {"post": "pão"})


async def deliveries(world: World) -> Sequence[Row[Any]]:
    return await world.rows("SELECT * FROM smm.webhook_deliveries ORDER BY id")


async def endpoint(world: World, endpoint_id: UUID) -> WebhookEndpoint:
    async with world.app.units.sessions() as session:
        return await session.get_one(WebhookEndpoint, endpoint_id)


def received(world: World) -> list[dict[str, Any]]:
    return world.receiver.state()["received"]  # type: ignore[no-any-return] # JSON
