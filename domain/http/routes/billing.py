"""Paying, on Stripe's own pages."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request

from domain.http.keyed import HEADER, KeyedAgainRoute
from domain.http.requests import App, Payer
from domain.http.shapes import Model, View

router = APIRouter(prefix="/organizations/{organization_id}/billing", tags=["billing"], route_class=KeyedAgainRoute)


class Order(Model):
    """What is to be paid for."""

    plan: Literal["pro", "business"]


class StripePage(View):
    """Where the user's browser is to go. Whoever has the address may act for the customer there."""

    url: str
    expires_at: datetime | None


@router.post("/checkout", status_code=201)
async def start_checkout(app: App, member: Payer, request: Request, body: Order) -> StripePage:
    """Begin to pay for a plan. The organization has it when Stripe's event says so."""
    key = request.headers.get(HEADER)
    return StripePage.model_validate(await app.billing.start_checkout(member.context, body.plan, key=key))


@router.post("/portal", status_code=201)
async def open_billing_portal(app: App, member: Payer) -> StripePage:
    """Open the page on which an organization sees and changes what it pays."""
    return StripePage.model_validate(await app.billing.open_billing_portal(member.context))
