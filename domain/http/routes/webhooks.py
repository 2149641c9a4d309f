"""Webhook endpoints: where an organization wants to be told of events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from domain.http.keyed import KeyedOutsideRoute, KeyedRoute
from domain.http.requests import App, Connector, PageWanted
from domain.http.shapes import Model, Moment, PageOf, Text, View, page_of
from domain.use_cases.integration.outgoing import TYPES

_PREFIX = "/organizations/{organization_id}/webhook-endpoints"
router = APIRouter(prefix=_PREFIX, tags=["webhooks"], route_class=KeyedRoute)
# they look up the name of the host
outside = APIRouter(prefix=_PREFIX, tags=["webhooks"], route_class=KeyedOutsideRoute)

EventType = Annotated[Text, StringConstraints(max_length=50), Field(json_schema_extra={"enum": sorted(TYPES)})]


class NewEndpoint(Model):
    """Where events are sent to."""

    url: Annotated[
        Text, StringConstraints(min_length=1, max_length=2000), Field(examples=["https://example.com/hooks"])
    ]
    event_types: list[EventType] = Field(
        default_factory=list, max_length=len(TYPES), description="Which ones; none: all of them."
    )
    retry_schedule: Literal["short", "days"] = "short"


class Period(Model):
    """From when to when."""

    since: Moment
    until: Moment


class WithSecret(View):
    """An endpoint's secret, shown this once."""

    id: UUID = Field(validation_alias="endpoint_id")
    secret: str


class Endpoint(View):
    """Where events are sent to, and whether they are."""

    id: UUID
    url: str
    event_types: list[str]
    retry_schedule: str
    status: str
    failing_since: datetime | None
    previous_secret_until: datetime | None = Field(description="Until then everything is signed with both secrets.")
    created_at: datetime


class Delivery(View):
    """One event for this endpoint, and how the last attempt went."""

    id: UUID
    event_id: str
    event_type: str
    status: Literal["pending", "delivered", "failed", "skipped"]
    attempts: int
    last_http_status: int | None
    last_error: str | None
    duration_ms: int | None
    delivered_at: datetime | None
    created_at: datetime


class Replayed(View):
    """How many deliveries are tried again."""

    count: int


@outside.post("", status_code=201)
async def create_webhook_endpoint(app: App, member: Connector, body: NewEndpoint) -> WithSecret:
    """Register an endpoint. The secret, which verifies what we send, is shown this once."""
    registered = await app.integration.register_endpoint(
        member.context, body.url, event_types=body.event_types, retry_schedule=body.retry_schedule
    )
    return WithSecret.model_validate(registered)


@router.get("")
async def list_webhook_endpoints(app: App, member: Connector, wanted: PageWanted) -> PageOf[Endpoint]:
    """List endpoints."""
    return page_of(Endpoint, await app.reading.list_endpoints(member.context, wanted))


@router.get("/{endpoint_id}")
async def get_webhook_endpoint(app: App, member: Connector, endpoint_id: UUID) -> Endpoint:
    """Show one endpoint."""
    return Endpoint.model_validate(await app.reading.get_endpoint(member.context, endpoint_id))


@router.delete("/{endpoint_id}", status_code=204)
async def delete_webhook_endpoint(app: App, member: Connector, endpoint_id: UUID) -> None:
    """Delete an endpoint and the record of its deliveries; what is on its way to it is dropped."""
    await app.integration.delete_endpoint(member.context, endpoint_id)


@router.post("/{endpoint_id}/rotate", status_code=200)
async def rotate_webhook_secret(app: App, member: Connector, endpoint_id: UUID) -> WithSecret:
    """Get a new secret; for a day everything is signed with both."""
    return WithSecret.model_validate(await app.integration.rotate_secret(member.context, endpoint_id))


@outside.post("/{endpoint_id}/enable", status_code=204)
async def enable_webhook_endpoint(app: App, member: Connector, endpoint_id: UUID) -> None:
    """Switch an endpoint on again that was switched off."""
    await app.integration.enable_endpoint(member.context, endpoint_id)


@router.get("/{endpoint_id}/deliveries")
async def list_webhook_deliveries(
    app: App, member: Connector, endpoint_id: UUID, wanted: PageWanted
) -> PageOf[Delivery]:
    """List what was sent, and how that went."""
    found = await app.reading.list_deliveries(member.context, endpoint_id, wanted)
    items = [
        Delivery(
            id=row.id,
            event_id=row.event_id,
            event_type=found.event_types[row.event_id],
            status=row.status,
            attempts=row.attempts,
            last_http_status=row.last_http_status,
            last_error=row.last_error,
            duration_ms=row.duration_ms,
            delivered_at=row.delivered_at,
            created_at=row.created_at,
        )
        for row in found.page.items
    ]
    return PageOf(items=items, next_cursor=found.page.next_cursor)


@router.post("/{endpoint_id}/replays", status_code=202)
async def replay_webhook_deliveries(app: App, member: Connector, endpoint_id: UUID, body: Period) -> Replayed:
    """Send again what failed in a time, at most a thousand."""
    count = await app.integration.replay_deliveries(member.context, endpoint_id, since=body.since, until=body.until)
    return Replayed(count=count)
