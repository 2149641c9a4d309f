"""What reading from a network shares: whom to ask, and what a refusal means for the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.gateways.failures import AuthExpired, Postponed, RateLimited
from domain.gateways.networks import Grant
from domain.models import AccountStatus, Organization, OrganizationStatus, SocialAccount
from domain.use_cases.publications import database_now
from domain.use_cases.renewing import end_grant
from domain.use_cases.throttling import remember, wait_left
from pgqueue import Discard, Outcome, Snooze

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.failures import GatewayError
    from domain.gateways.reading import Reader, Readers
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import JobContext


@dataclass(frozen=True, slots=True)
class Source:
    """Whom to ask, and with what."""

    reader: Reader
    grant: Grant
    account_id: UUID
    token_version: int


@dataclass(frozen=True, slots=True)
class Asking:
    """Finds the network of an account, and writes down what it said of the account instead of answering."""

    units: UnitsOfWork
    readers: Readers
    vault: Vault

    async def source(self, uow: UnitOfWork, account_id: UUID) -> Source | Outcome:
        """Return whom to ask; an outcome if nobody may be asked now."""
        account = await _account(uow, account_id)
        if account is None or account.status != AccountStatus.ACTIVE:
            return Discard("the account is not active")
        status = await uow.session.scalar(select(Organization.status).where(Organization.id == uow.organization_id))
        if status != OrganizationStatus.ACTIVE:
            return Discard(f"the organization is {status}")
        reader = self.readers.of(account.provider)
        if reader is None:
            return Discard(f"{account.provider} tells us nothing")
        wait = await wait_left(uow, account, await database_now(uow))
        if wait is not None:
            return Snooze(wait, "the network wants the account to be left alone")
        tokens = self.vault.open(account.id, account.credentials)
        grant = Grant(account.base_url, account.external_id, tokens.access)
        return Source(reader, grant, account.id, account.token_version)

    async def refused(self, error: GatewayError, source: Source, ctx: JobContext) -> Outcome:
        """Write down what the failure says of the account; raise what another attempt may cure."""
        if not isinstance(error, RateLimited | AuthExpired | Postponed):
            raise error
        async with self.units.begin(ctx.context) as uow:
            account = await _account(uow, source.account_id, lock=True)
            if account is not None and isinstance(error, RateLimited):
                await remember(uow, account, error.wait)
            if account is not None and isinstance(error, AuthExpired):
                if account.token_version != source.token_version:
                    raise error  # it was connected again meanwhile: another attempt has the new tokens
                await end_grant(uow, account, error.code)
        if isinstance(error, Postponed):
            return Snooze(error.wait, f"{error.code}: {error}")
        return Discard(f"{error.code}: {error}")


async def _account(uow: UnitOfWork, account_id: UUID, *, lock: bool = False) -> SocialAccount | None:
    query = select(SocialAccount).where(
        SocialAccount.organization_id == uow.organization_id, SocialAccount.id == account_id
    )
    return await uow.session.scalar(query.with_for_update() if lock else query)
