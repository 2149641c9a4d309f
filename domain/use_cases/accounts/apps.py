"""Ourselves as the networks know us: remembered for each server, the secret sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from domain.gateways.connecting import Client
from domain.gateways.vault import Tokens
from domain.models import ProviderApp

if TYPE_CHECKING:
    from domain.gateways.vault import Vault
    from domain.unit_of_work import UnitOfWork


async def known_client(uow: UnitOfWork, vault: Vault, provider: str, base_url: str) -> Client | None:
    """Return who we are on a server, if we have registered there. Raises `SealBroken`."""
    row = await uow.session.get(ProviderApp, (provider, base_url))
    if row is None:
        return None
    return Client(row.client_id, vault.open(_subject(base_url), row.client_secret).access)


async def remember_client(uow: UnitOfWork, vault: Vault, provider: str, base_url: str, client: Client) -> None:
    """Store a registration; of two that came at once the first one counts."""
    sealed = vault.seal(_subject(base_url), Tokens(client.secret))
    values = {
        "provider": provider,
        "base_url": base_url,
        "client_id": client.id,
        "client_secret": sealed.blob,
        "client_secret_kid": sealed.kid,
    }
    await uow.session.execute(insert(ProviderApp).values(values).on_conflict_do_nothing())


async def forget_client(uow: UnitOfWork, provider: str, base_url: str, client: Client) -> None:
    """Drop a registration that the server does not know any more: the next user makes a new one."""
    await uow.session.execute(
        delete(ProviderApp).where(
            ProviderApp.provider == provider, ProviderApp.base_url == base_url, ProviderApp.client_id == client.id
        )
    )


def _subject(base_url: str) -> UUID:
    return uuid5(NAMESPACE_URL, base_url)
