"""Accounts on the networks."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter

from domain.http.requests import App, PageWanted, Viewer
from domain.http.shapes import PageOf, View, page_of

router = APIRouter(prefix="/organizations/{organization_id}/accounts", tags=["accounts"])


class Account(View):
    """An account on a network. Its credentials are shown to nobody."""

    id: UUID
    provider: str
    base_url: str
    handle: str
    display_name: str
    status: str
    status_reason: str | None
    created_at: datetime


class AccountNumbers(View):
    """The numbers of a day. null: the network does not tell."""

    day: date
    followers: int | None
    following: int | None
    posts: int | None


@router.get("")
async def list_accounts(app: App, member: Viewer, wanted: PageWanted) -> PageOf[Account]:
    """List accounts."""
    return page_of(Account, await app.reading.list_accounts(member.context, wanted))


@router.get("/{account_id}")
async def get_account(app: App, member: Viewer, account_id: UUID) -> Account:
    """Show one account."""
    return Account.model_validate(await app.reading.get_account(member.context, account_id))


@router.get("/{account_id}/metrics")
async def list_account_metrics(
    app: App, member: Viewer, account_id: UUID, wanted: PageWanted
) -> PageOf[AccountNumbers]:
    """List the numbers that the network told, day by day."""
    return page_of(AccountNumbers, await app.reading.list_account_metrics(member.context, account_id, wanted))
