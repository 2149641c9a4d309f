"""DisconnectAccount: the network is told, the credentials are wiped, and posts say what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from domain.gateways.failures import GatewayError
from domain.gateways.revocation import Grant, Revocation
from domain.gateways.vault import SealBroken
from domain.models import AccountStatus, Right, SocialAccount
from domain.use_cases.accounts.apps import known_client
from domain.use_cases.accounts.giving_up import give_up
from domain.use_cases.administration.operators import UnknownSubject
from domain.use_cases.auditing import audit
from domain.use_cases.organizations.authorizing import require

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork, UnitsOfWork
    from pgqueue import Context

REASON = "disconnected"


@dataclass(frozen=True, slots=True)
class DisconnectAccount:
    """Somebody wants us to have an account no more."""

    units: UnitsOfWork
    vault: Vault
    revocation: Revocation

    async def __call__(self, context: Context, account_id: UUID) -> bool:
        """Give the account up; True: its network has taken the grant back.

        False: it does not answer, or has no call for that; the user can do it there. Either way we have no credentials
        any more. Raises `NotAMember`, `Forbidden`, `UnknownSubject`.
        """
        async with self.units.begin(context) as uow:
            await require(uow, Right.CONNECT)
            account = await _account(uow, account_id)
        if account.status == AccountStatus.REVOKED:
            return False
        taken_back = await self._give_back(context, account)
        async with self.units.begin(context) as uow:
            row = await _account(uow, account_id, lock=True)
            if row.status == AccountStatus.REVOKED:
                return taken_back
            await give_up(uow, row, REASON)
            audit(uow, "account.disconnected", ("social_account", row.id), taken_back=taken_back)
        return taken_back

    async def _give_back(self, context: Context, account: SocialAccount) -> bool:
        try:
            tokens = self.vault.open(account.id, account.credentials)
            async with self.units.begin(context) as uow:
                client = await known_client(uow, self.vault, account.provider, account.base_url)
            await self.revocation.revoke(Grant(account.provider, account.base_url, tokens, client))
        except (GatewayError, SealBroken):
            return False
        return True


async def _account(uow: UnitOfWork, account_id: UUID, *, lock: bool = False) -> SocialAccount:
    query = select(SocialAccount).where(
        SocialAccount.organization_id == uow.organization_id, SocialAccount.id == account_id
    )
    row = await uow.session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise UnknownSubject(f"there is no account {account_id} in this organization")
    return row
