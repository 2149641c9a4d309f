"""Tell an organization's endpoints of something: the frozen text and the deliveries are stored with the fact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from domain.events import OutgoingEvent
from domain.models import EndpointStatus, WebhookDelivery, WebhookEndpoint, WebhookEvent, new_id
from domain.use_cases.clock import database_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.unit_of_work import UnitOfWork

TYPES = frozenset(
    {
        "post.published",
        "post.failed",
        "post.unconfirmed",
        "account.needs_reauth",
        "media.rejected",
        "comment.received",
        "report.ready",
        "subscription.updated",
    }
)
MOST_ENDPOINTS = 10


async def tell_endpoints(uow: UnitOfWork, kind: str, data: Mapping[str, Any]) -> None:
    """Store one event and a delivery for each endpoint that wants to hear of it; ids and links only in ``data``."""
    if kind not in TYPES:
        raise ValueError(f"{kind!r} is no type of webhook; known are {', '.join(sorted(TYPES))}")
    endpoints = await uow.session.scalars(
        select(WebhookEndpoint.id)
        .where(
            WebhookEndpoint.organization_id == uow.organization_id,
            WebhookEndpoint.status == EndpointStatus.ACTIVE,
            or_(func.cardinality(WebhookEndpoint.event_types) == 0, WebhookEndpoint.event_types.contains([kind])),
        )
        .order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
        .limit(MOST_ENDPOINTS)
    )
    wanted = endpoints.all()
    if not wanted:
        return
    now = await database_now(uow)
    body = {"type": kind, "timestamp": now.isoformat(), "data": dict(data)}
    event = WebhookEvent(
        id=f"msg_{new_id().hex}",
        organization_id=uow.organization_id,
        type=kind,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False),
        occurred_at=now,
    )
    uow.session.add(event)
    await uow.session.flush()
    deliveries = [
        WebhookDelivery(id=new_id(), organization_id=uow.organization_id, event_id=event.id, endpoint_id=endpoint_id)
        for endpoint_id in wanted
    ]
    uow.session.add_all(deliveries)
    await uow.session.flush()
    await uow.publish(OutgoingEvent(webhook_event_id=event.id, delivery_ids=tuple(each.id for each in deliveries)))
