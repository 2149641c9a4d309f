"""What Stripe posts to us."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from domain.http.requests import App, Nobody

router = APIRouter(tags=["stripe"])


class Received(BaseModel):
    """We have the event."""

    status: Literal["stored", "known"]


@router.post(
    "/stripe/events",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def receive_stripe_event(
    app: App,
    nobody: Nobody,
    request: Request,
    signature: Annotated[str | None, Header(alias="Stripe-Signature", max_length=2000)] = None,
) -> Received:
    """Take an event that Stripe signed. The signature is of the bytes as they came, so nothing parses them before."""
    stored = await app.billing.receive_stripe_event(nobody, await request.body(), signature)
    return Received(status="stored" if stored else "known")
