"""What reading from a network shares: whom to ask, with which tokens, and what a refusal means for the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import select

from domain.gateways.failures import AuthExpired, GatewayError, Postponed, RateLimited
from domain.gateways.networks import Grant
from domain.models import AccountStatus, Organization, OrganizationStatus, SocialAccount
from domain.use_cases.publications import database_now
from domain.use_cases.renewing import BUSY, end_grant
from domain.use_cases.throttling import remember, wait_left
from pgqueue import Discard, Outcome, Snooze
from pgqueue.errors import LockTaken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from domain.gateways.reading import Reader, Readers
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from domain.use_cases.renewing import RenewTokens
    from pgqueue import JobContext

Told = TypeVar("Told")


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
    renew_tokens: RenewTokens

    async def source(self, uow: UnitOfWork, account_id: UUID) -> Source | Outcome:
        """Return whom to ask; an outcome if nobody may be asked now."""
        account = await _account(uow, account_id)
        if account is None or account.status != AccountStatus.ACTIVE:
            return Discard("the account is not active")
        status = await uow.session.scalar(select(Organization.status).where(Organization.id == uow.organization_id))
        if status != OrganizationStatus.ACTIVE:
            return Discard(f"the organization is {status}")
        wait = await wait_left(uow, account, await database_now(uow))
        if wait is not None:
            return Snooze(wait, "the network wants the account to be left alone")
        tokens = self.vault.open(account.id, account.credentials)
        grant = Grant(account.base_url, account.external_id, tokens.access)
        return Source(self.readers.of(account.provider), grant, account.id, account.token_version)

    async def ask(
        self, ctx: JobContext, source: Source, question: Callable[[Source], Awaitable[Told]]
    ) -> Told | Outcome:
        """Ask, and once more with new tokens if the old ones are refused; an outcome: nobody may be asked now.

        Raises `Rejected`, and what another attempt may cure.
        """
        asked: Source | Outcome = source
        try:
            try:
                return await question(source)
            except AuthExpired:
                asked = await self._renewed(ctx, source)
            return await question(asked) if isinstance(asked, Source) else asked
        except GatewayError as error:
            if not isinstance(error, AuthExpired | Postponed):
                raise
            return await self._refused(error, asked if isinstance(asked, Source) else source, ctx)

    async def _renewed(self, ctx: JobContext, source: Source) -> Source | Outcome:
        """Return whom to ask with new tokens. Raises `AuthExpired` when the grant is dead: the account says so then."""
        try:
            await self.renew_tokens(ctx.context, source.account_id, seen_version=source.token_version)
        except LockTaken:
            return Snooze(BUSY, "somebody else is renewing these tokens")
        async with self.units.begin(ctx.context) as uow:
            return await self.source(uow, source.account_id)

    async def _refused(self, error: AuthExpired | Postponed, source: Source, ctx: JobContext) -> Outcome:
        """Write down what the refusal says of the account."""
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
