"""A customer's endpoints: registered, given new secrets, switched on, deleted, looked after; deliveries sent again."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select

from domain.events import WebhookDeliveriesReplayed, WebhookEndpointDisabled
from domain.gateways.vault import Tokens
from domain.models import (
    DeliveryStatus,
    EndpointStatus,
    Organization,
    WebhookDelivery,
    WebhookEndpoint,
    limits_of,
    new_id,
    transition,
)
from domain.use_cases.billing.subscriptions import context_of
from domain.use_cases.clock import database_now
from domain.use_cases.integration.outgoing import TYPES
from domain.use_cases.notices import administrators, give_notice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gateways.vault import Vault
    from domain.gateways.webhooks import Webhooks
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context, JobContext

FAILING_FOR = timedelta(days=3)
OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32
_MOST_REPLAYED = 1_000
_MOST_DISABLED = 500


class InvalidEndpoint(Exception):
    """An endpoint that cannot be registered as it is; the message is for the user."""


class UnknownEndpoint(Exception):
    """There is no such endpoint in this organization."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new endpoint. The secret is shown this once."""

    endpoint_id: UUID
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RegisterEndpoint:
    """Let an organization be told of events at an address of its own."""

    units: UnitsOfWork
    webhooks: Webhooks
    vault: Vault

    async def __call__(
        self,
        context: Context,
        url: str,
        *,
        event_types: Sequence[str] = (),
        retry_schedule: Literal["short", "days"] = "short",
    ) -> Registered:
        """Store the endpoint and return its secret. Raises `InvalidEndpoint`, `NotAnEndpoint`."""
        unknown = sorted(set(event_types) - TYPES)
        if unknown:
            raise InvalidEndpoint(f"unknown event type {unknown[0]!r}; known are {', '.join(sorted(TYPES))}")
        await self.webhooks.check(url)
        endpoint_id, secret = new_id(), _new_secret()
        sealed = self.vault.seal(endpoint_id, Tokens(secret))
        async with self.units.begin(context) as uow:
            await _room_for_one_more(uow)
            uow.session.add(
                WebhookEndpoint(
                    id=endpoint_id,
                    organization_id=uow.organization_id,
                    url=url,
                    event_types=sorted(set(event_types)),
                    secret=sealed.blob,
                    secret_kid=sealed.kid,
                    retry_schedule=retry_schedule,
                )
            )
        return Registered(endpoint_id, secret)


@dataclass(frozen=True, slots=True)
class RotateSecret:
    """Give an endpoint a new secret; for a day everything is signed with both."""

    units: UnitsOfWork
    vault: Vault

    async def __call__(self, context: Context, endpoint_id: UUID) -> Registered:
        """Return the new secret; an earlier previous one ends at once."""
        secret = _new_secret()
        sealed = self.vault.seal(endpoint_id, Tokens(secret))
        async with self.units.begin(context) as uow:
            row = await locked_endpoint(uow, endpoint_id)
            row.previous_secret, row.previous_secret_until = row.secret, await database_now(uow) + OVERLAP
            row.secret, row.secret_kid = sealed.blob, sealed.kid
        return Registered(endpoint_id, secret)


@dataclass(frozen=True, slots=True)
class EnableEndpoint:
    """Call an endpoint again that was disabled."""

    units: UnitsOfWork
    webhooks: Webhooks

    async def __call__(self, context: Context, endpoint_id: UUID) -> None:
        """Check its address anew and switch it on. Raises `NotAnEndpoint`, `InvalidEndpoint`."""
        async with self.units.begin(context) as uow:
            url = (await locked_endpoint(uow, endpoint_id)).url
        await self.webhooks.check(url)
        async with self.units.begin(context) as uow:
            await _room_for_one_more(uow)
            row = await locked_endpoint(uow, endpoint_id)
            transition(row, EndpointStatus.ACTIVE)
            row.failing_since = None


@dataclass(frozen=True, slots=True)
class DeleteEndpoint:
    """Forget an endpoint."""

    units: UnitsOfWork

    async def __call__(self, context: Context, endpoint_id: UUID) -> None:
        """Delete it with its deliveries; a job that is on its way finds nothing to do. Raises `UnknownEndpoint`."""
        async with self.units.begin(context) as uow:
            await uow.session.delete(await locked_endpoint(uow, endpoint_id))


@dataclass(frozen=True, slots=True)
class ReplayDeliveries:
    """Send again what an endpoint did not get."""

    units: UnitsOfWork

    async def __call__(self, context: Context, endpoint_id: UUID, *, since: datetime, until: datetime) -> int:
        """Return how many failed deliveries of that time are tried again, at most a thousand, oldest first."""
        async with self.units.begin(context) as uow:
            endpoint = await locked_endpoint(uow, endpoint_id)
            if endpoint.status != EndpointStatus.ACTIVE:
                raise InvalidEndpoint(f"the endpoint is {endpoint.status}; enable it first")
            found = await uow.session.scalars(
                select(WebhookDelivery)
                .where(
                    WebhookDelivery.organization_id == uow.organization_id,
                    WebhookDelivery.endpoint_id == endpoint_id,
                    WebhookDelivery.status == DeliveryStatus.FAILED,
                    WebhookDelivery.created_at.between(since, until),
                )
                .order_by(WebhookDelivery.created_at, WebhookDelivery.id)
                .limit(_MOST_REPLAYED)
                .with_for_update()
            )
            rounds: dict[int, list[UUID]] = {}
            for row in found:
                transition(row, DeliveryStatus.PENDING)
                row.replay_no += 1
                row.attempts = 0
                rounds.setdefault(row.replay_no, []).append(row.id)
            for replay_no, ids in sorted(rounds.items()):
                await uow.publish(WebhookDeliveriesReplayed(delivery_ids=tuple(ids), replay_no=replay_no))
            return sum(map(len, rounds.values()))


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """Disable the endpoints that have failed for more than three days, also those that nothing is sent to now."""

    units: UnitsOfWork

    async def __call__(self, ctx: JobContext) -> None:
        """Look at all organizations."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            found = await session.scalars(
                select(WebhookEndpoint)
                .where(
                    WebhookEndpoint.status == EndpointStatus.ACTIVE,
                    WebhookEndpoint.failing_since < await database_now(uow) - FAILING_FOR,
                )
                .order_by(WebhookEndpoint.id)
                .limit(_MOST_DISABLED)
                .with_for_update(skip_locked=True)
            )
            for row in found.all():
                own = self.units.join(session, context_of(row.organization_id, ctx.context))
                await disable(own, row, EndpointStatus.DISABLED_FAILING, "failing for more than three days")


async def disable(uow: UnitOfWork, row: WebhookEndpoint, status: EndpointStatus, reason: str) -> None:
    """Stop calling an endpoint and say so."""
    transition(row, status)
    await uow.publish(WebhookEndpointDisabled(endpoint_id=row.id, reason=reason))
    key = f"webhook_disabled:{row.id}:{(await database_now(uow)).isoformat()}"
    await give_notice(uow, await administrators(uow), "webhook_disabled", key=key, url=row.url, reason=reason)


async def locked_endpoint(uow: UnitOfWork, endpoint_id: UUID) -> WebhookEndpoint:
    """Load an endpoint of this organization and keep it locked. Raises `UnknownEndpoint`."""
    row = await uow.session.scalar(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.organization_id == uow.organization_id, WebhookEndpoint.id == endpoint_id)
        .with_for_update()
    )
    if row is None:
        raise UnknownEndpoint(f"endpoint {endpoint_id} does not exist in this organization")
    return row


async def _room_for_one_more(uow: UnitOfWork) -> None:
    """Make sure that the plan allows another active endpoint; the organization stays locked until the commit."""
    organization = await uow.session.get_one(Organization, uow.organization_id, with_for_update=True)
    count = await uow.session.scalar(
        select(func.count()).where(
            WebhookEndpoint.organization_id == uow.organization_id, WebhookEndpoint.status == EndpointStatus.ACTIVE
        )
    )
    most = limits_of(organization.plan).webhook_endpoints
    if (count or 0) >= most:
        raise InvalidEndpoint(f"the plan {organization.plan} allows {most} active endpoint(s)")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
