"""Paying, on Stripe's own pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from domain.http.keyed import HEADER, KeyedAgainRoute
from domain.http.pages import PAGE, html
from domain.http.requests import App, Payer
from domain.http.shapes import Model, View

router = APIRouter(prefix="/organizations/{organization_id}/billing", tags=["billing"], route_class=KeyedAgainRoute)
outside = APIRouter(prefix="/billing", tags=["billing"])


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


@outside.head("", include_in_schema=False)
@outside.get("", response_class=HTMLResponse, responses={200: {"description": "What happens next.", **PAGE}})
async def return_from_stripe(
    request: Request, *, checkout: Annotated[str, Query(max_length=50, examples=["done", "canceled"])] = ""
) -> HTMLResponse:
    """Show a browser that comes back from Stripe's pages what happens next. It knows no more than the address says."""
    return html(request, "paying", good=checkout != "canceled", said=checkout)
