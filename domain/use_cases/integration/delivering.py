"""DeliverWebhook: one event to one endpoint. The receiver may get it twice, with the same id; never never.

T1  check, count the attempt                   (commit)
H   send the frozen text, with no transaction open
T2  write down how it went
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.events import WebhookDelivered, WebhookDeliveryFailed
from domain.gateways.failures import CircuitOpen, GatewayError, Postponed
from domain.gateways.guard import Blocked
from domain.gateways.webhooks import Gone, Letter
from domain.models import (
    DeliveryStatus,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    transition,
)
from domain.use_cases.clock import database_now
from domain.use_cases.integration.endpoints import FAILING_FOR, disable
from pgqueue import Dead, Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.gateways.vault import Vault
    from domain.gateways.webhooks import Receipt, Webhooks
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Death, JobContext

AT_ONCE = 2
"""How many deliveries to one endpoint may be under way: a slow one does not take all the workers."""
DAYS = ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")
"""The waits that the specification recommends, for endpoints that ask for them."""
_LOCK = "30s"  # longer than the deadline of the call
_BUSY = timedelta(seconds=2)
_MOST_ERROR = 500


@dataclass(frozen=True, slots=True)
class _Sent:
    """What T1 decided."""

    letter: Letter
    endpoint_id: UUID
    attempt: int
    days: bool


@dataclass(frozen=True, slots=True)
class DeliverWebhook:
    """Deliver; safe to call again at any moment."""

    units: UnitsOfWork
    webhooks: Webhooks
    vault: Vault

    async def __call__(self, ctx: JobContext, delivery_id: UUID, replay_no: int) -> Outcome | None:
        """Run T1, H and T2."""
        async with self.units.begin(ctx.context) as uow:
            endpoint_id = await uow.session.scalar(
                select(WebhookDelivery.endpoint_id).where(
                    WebhookDelivery.organization_id == uow.organization_id, WebhookDelivery.id == delivery_id
                )
            )
        if endpoint_id is None:
            return Discard("there is no such delivery in this organization")
        for place in range(AT_ONCE):
            try:
                async with self.units.queue.lock(f"webhook:{endpoint_id}:{place}", ttl=_LOCK):
                    return await self._deliver(ctx, delivery_id, replay_no)
            except LockTaken:
                continue
        return Snooze(_BUSY, f"{AT_ONCE} deliveries to this endpoint are under way")

    async def _deliver(self, ctx: JobContext, delivery_id: UUID, replay_no: int) -> Outcome | None:
        async with self.units.begin(ctx.context) as uow:
            sent = await self._prepare(uow, delivery_id, replay_no)
        if sent is None:
            return None
        started = time.monotonic()
        try:
            receipt = await self.webhooks.deliver(sent.letter)
        except GatewayError as error:
            return await self._failed(ctx, delivery_id, sent, error, _milliseconds(started))
        await self._delivered(ctx, delivery_id, receipt, _milliseconds(started))
        return None

    async def _prepare(self, uow: UnitOfWork, delivery_id: UUID, replay_no: int) -> _Sent | None:
        """T1."""
        row, endpoint = await _locked(uow, delivery_id)
        if row.replay_no != replay_no or row.status in (DeliveryStatus.DELIVERED, DeliveryStatus.SKIPPED):
            return None
        event = await uow.session.get_one(WebhookEvent, row.event_id)
        if row.status == DeliveryStatus.FAILED:  # requeued from the dead letters
            transition(row, DeliveryStatus.PENDING)
        if endpoint.status != EndpointStatus.ACTIVE or event.body is None:
            transition(row, DeliveryStatus.SKIPPED)
            row.last_error = f"the endpoint is {endpoint.status}" if event.body else "the text is not kept any more"
            return None
        row.attempts += 1
        secrets = [self.vault.open(endpoint.id, endpoint.secret).access]
        until = endpoint.previous_secret_until
        if endpoint.previous_secret is not None and until is not None and until > await database_now(uow):
            secrets.append(self.vault.open(endpoint.id, endpoint.previous_secret).access)
        letter = Letter(endpoint.url, event.id, event.body, secrets)
        return _Sent(letter, endpoint.id, row.attempts, endpoint.retry_schedule == "days")

    async def _delivered(self, ctx: JobContext, delivery_id: UUID, receipt: Receipt, took: int) -> None:
        """T2, good ending."""
        async with ctx.transaction() as session:
            uow = self.units.join(session, ctx.context)
            row, endpoint = await _locked(uow, delivery_id)
            endpoint.failing_since = None
            if row.status != DeliveryStatus.PENDING:
                return
            row.delivered_at = await database_now(uow)
            transition(row, DeliveryStatus.DELIVERED)
            row.last_http_status, row.response_excerpt = receipt.status, receipt.excerpt
            row.last_error, row.duration_ms = None, took
            await uow.publish(WebhookDelivered(delivery_id=row.id))

    async def _failed(self, ctx: JobContext, delivery_id: UUID, sent: _Sent, error: GatewayError, took: int) -> Outcome:
        """T2, bad ending."""
        async with self.units.begin(ctx.context) as uow:
            row, endpoint = await _locked(uow, delivery_id)
            row.last_http_status, row.duration_ms = error.status, took
            row.last_error = f"{error.code}: {error}"[:_MOST_ERROR]
            if isinstance(error, CircuitOpen):
                row.attempts -= 1  # nothing was sent
            over = await _judge(uow, endpoint, error)
            if over and row.status == DeliveryStatus.PENDING:
                transition(row, DeliveryStatus.FAILED)
                await uow.publish(WebhookDeliveryFailed(delivery_id=row.id))
        reason = f"{error.code}: {error}"
        if over:
            return Discard(reason)
        if isinstance(error, Postponed):
            return Snooze(error.wait, reason)
        if sent.days:
            return Snooze(DAYS[sent.attempt - 1], reason) if sent.attempt <= len(DAYS) else Dead(reason)
        raise error


@dataclass(frozen=True, slots=True)
class BuryDelivery:
    """The job died: the endpoint does not have the event, and the row says so."""

    units: UnitsOfWork

    async def __call__(self, session: AsyncSession, delivery_id: UUID | None, death: Death) -> None:
        """Leave the delivery `failed`: it can be replayed."""
        if delivery_id is None:
            return
        uow = self.units.join(session, death.context)
        row, _ = await _locked(uow, delivery_id)
        if row.status == DeliveryStatus.PENDING:
            transition(row, DeliveryStatus.FAILED)
            row.last_error = row.last_error or f"{death.reason}: {death.error}"[:_MOST_ERROR]
            await uow.publish(WebhookDeliveryFailed(delivery_id=row.id))


async def _judge(uow: UnitOfWork, endpoint: WebhookEndpoint, error: GatewayError) -> bool:
    """Write down what a failure says of the endpoint; True: it is not called any more."""
    if endpoint.status != EndpointStatus.ACTIVE:
        return True
    if isinstance(error, Gone):
        await disable(uow, endpoint, EndpointStatus.DISABLED_GONE, "it answered that it is gone (410)")
        return True
    if isinstance(error, Blocked):
        await disable(uow, endpoint, EndpointStatus.DISABLED_BLOCKED, str(error))
        return True
    if isinstance(error, Postponed):
        return False  # busy is not broken
    now = await database_now(uow)
    endpoint.failing_since = endpoint.failing_since or now
    if now - endpoint.failing_since > FAILING_FOR:
        await disable(uow, endpoint, EndpointStatus.DISABLED_FAILING, "failing for more than three days")
        return True
    return False


async def _locked(uow: UnitOfWork, delivery_id: UUID) -> tuple[WebhookDelivery, WebhookEndpoint]:
    """Load a delivery and its endpoint and keep both locked until the transaction ends."""
    found = await uow.session.execute(
        select(WebhookDelivery, WebhookEndpoint)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.organization_id == uow.organization_id, WebhookDelivery.id == delivery_id)
        .with_for_update()
    )
    row, endpoint = found.one()
    return row, endpoint


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
