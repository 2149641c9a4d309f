"""An account that lets us in is stored: as a new one, or as one that we have had before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from domain.events import SocialAccountConnected, SocialAccountReconnected, TokensRefreshed
from domain.models import AccountStatus, Organization, SocialAccount, limits_of, new_id, transition
from domain.use_cases.administration.suspension import locked_organization
from domain.use_cases.auditing import audit
from domain.use_cases.billing.limits import PlanLimit

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.connecting import Arrival
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork

_COUNTED = (AccountStatus.ACTIVE, AccountStatus.NEEDS_REAUTH)


class Connected(NamedTuple):
    """An account that may be used now."""

    account_id: UUID
    organization_id: UUID
    is_new: bool


async def keep(uow: UnitOfWork, vault: Vault, provider: str, base_url: str, arrival: Arrival) -> Connected:
    """Store the account with its new credentials. Raises `PlanLimit`.

    An account that was given up stays what it is; connected anew it is another row.
    """
    organization = await locked_organization(uow)
    row = await uow.session.scalar(
        select(SocialAccount)
        .where(
            SocialAccount.organization_id == uow.organization_id,
            SocialAccount.provider == provider,
            SocialAccount.base_url == base_url,
            SocialAccount.external_id == arrival.external_id,
            SocialAccount.status != AccountStatus.REVOKED,
        )
        .with_for_update()
    )
    if row is None or row.status not in _COUNTED:
        await room_for_one_more(uow, organization)
    known = row is not None
    if row is None:
        row = SocialAccount(
            id=new_id(),
            organization_id=uow.organization_id,
            provider=provider,
            base_url=base_url,
            external_id=arrival.external_id,
            token_version=0,
        )
        uow.session.add(row)
    before = row.status if known else None
    _fill(row, vault, arrival)
    row.connected_by = uow.user_id
    if known and before != AccountStatus.ACTIVE:
        transition(row, AccountStatus.ACTIVE)
    await uow.session.flush()
    await _announce(uow, row, before)
    return Connected(row.id, row.organization_id, is_new=not known)


async def room_for_one_more(uow: UnitOfWork, organization: Organization) -> None:
    """Make sure that the plan allows another account. Raises `PlanLimit`."""
    count = await uow.session.scalar(
        select(func.count())
        .select_from(SocialAccount)
        .where(SocialAccount.organization_id == organization.id, SocialAccount.status.in_(_COUNTED))
    )
    most = limits_of(organization.plan).social_accounts
    if (count or 0) >= most:
        raise PlanLimit(f"the plan {organization.plan} allows {most} accounts")


def _fill(row: SocialAccount, vault: Vault, arrival: Arrival) -> None:
    sealed = vault.seal(row.id, arrival.tokens)
    row.credentials, row.credentials_kid = sealed.blob, sealed.kid
    row.token_version += 1  # whoever renews the old ones at this moment changes nothing
    row.access_expires_at, row.refresh_failures = arrival.expires_at, 0
    row.last_refreshed_at = func.clock_timestamp()
    row.handle = _plain(arrival.handle) or row.external_id
    row.display_name, row.avatar_url = _plain(arrival.display_name), _link(arrival.avatar_url)
    row.scopes, row.limits = [_plain(scope) for scope in arrival.scopes], dict(arrival.limits)
    row.status_reason = None


async def _announce(uow: UnitOfWork, row: SocialAccount, before: str | None) -> None:
    if before is None:
        await uow.publish(SocialAccountConnected(social_account_id=row.id))
        audit(uow, "account.connected", ("social_account", row.id), provider=row.provider)
        return
    if before == AccountStatus.ACTIVE:
        await uow.publish(TokensRefreshed(social_account_id=row.id, token_version=row.token_version))
    else:
        await uow.publish(SocialAccountReconnected(social_account_id=row.id))
    audit(uow, "account.reconnected", ("social_account", row.id), provider=row.provider)


def _plain(said: str) -> str:
    """Keep what a network calls somebody as text that can be stored and shown in one line."""
    return " ".join("".join(each for each in said if each.isprintable()).split())[:200]


def _link(said: str | None) -> str | None:
    return said if said and said.startswith(("https://", "http://")) and said.isprintable() else None
