"""The networks as tests connect accounts on them: with people who are signed in there, and a browser."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
from pydantic import SecretStr

from domain.gateways.guard import trust
from domain.models import SocialAccount
from domain.standins import InstagramStandIn, LinkedInStandIn, MastodonStandIn
from pgqueue import Context
from tests.domain.world import Outside, Tenant, World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncEngine

    from domain.contexts.accounts import Accounts
    from domain.standins.faults import Faults
    from domain.use_cases.accounts.keeping import Connected

CALLBACK = "http://127.0.0.1:8000/accounts/callback"
WAYS = ("mastodon", "instagram", "linkedin")
TOKEN_CALL = {"mastodon": "/oauth/token", "instagram": "/oauth/access_token", "linkedin": "/oauth/v2/accessToken"}


@dataclass
class Connecting:
    """The world with all networks that one connects on."""

    world: World
    instagram: InstagramStandIn
    linkedin: LinkedInStandIn

    @property
    def accounts(self) -> Accounts:
        return self.world.app.accounts

    @property
    def owner(self) -> Context:
        return owner_of(self.world.tenant)

    def faults(self, provider: str) -> Faults:
        return self._network(provider).faults

    def sign_in(self, provider: str, name: str | None = "bia") -> None:
        """Somebody is signed in on the network; without a name they say no."""
        network = self._network(provider)
        if name is not None:
            network.add_account(name, f"the-own-token-of-{name}")
        (network.doors.consent if isinstance(network, MastodonStandIn) else network.consent).visitor = name

    def _network(self, provider: str) -> MastodonStandIn | InstagramStandIn | LinkedInStandIn:
        if provider == "mastodon":
            return self.world.network
        return self.instagram if provider == "instagram" else self.linkedin

    async def leave(self, provider: str, context: Context | None = None) -> str:
        server = self.world.network.url if provider == "mastodon" else None
        departure = await self.accounts.start_connecting(context or self.owner, provider, server=server)
        return departure.url

    async def connect(self, provider: str, context: Context | None = None) -> Connected:
        return await self.come_back(await visit(await self.leave(provider, context)), context)

    async def come_back(self, given: dict[str, str], context: Context | None = None) -> Connected:
        return await self.accounts.finish_connecting(context or self.owner, **given)

    async def account(self, account_id: UUID) -> SocialAccount:
        async with self.world.app.units.sessions() as session:
            return await session.get_one(SocialAccount, account_id)


def owner_of(tenant: Tenant) -> Context:
    return Context(str(tenant.organization_id), str(tenant.owner_id))


async def visit(url: str) -> dict[str, str]:
    """Do what a browser does: open the network's page, and be sent back to us."""
    async with httpx.AsyncClient(trust_env=False, verify=trust()) as browser:
        response = await browser.get(url)
    assert response.status_code == 302, response.text
    location = response.headers["location"]
    assert location.startswith(CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@asynccontextmanager
async def open_connecting(
    url: str, engine: AsyncEngine, outside: Outside, directory: Path
) -> AsyncIterator[Connecting]:
    """Open a world with all networks, in which the plans allow more than one account."""
    with InstagramStandIn() as instagram, LinkedInStandIn() as linkedin:
        for network in (instagram, linkedin):
            network.consent.add_client("our-id", "our-client-secret", CALLBACK)
        settings = {
            "instagram_client_id": "our-id",
            "instagram_client_secret": SecretStr("our-client-secret"),
            "instagram_url": instagram.url,
            "instagram_login_url": instagram.url,
            "instagram_token_url": instagram.url,
            "linkedin_client_id": "our-id",
            "linkedin_client_secret": SecretStr("our-client-secret"),
            "linkedin_url": linkedin.url,
            "linkedin_login_url": linkedin.url,
        }
        async with open_world(url, engine, outside, directory, **settings) as world:
            await world.execute("UPDATE smm.organizations SET plan = 'pro'")
            yield Connecting(world, instagram, linkedin)


async def nothing_shows(world: World, *secrets: str) -> None:
    """No row of any table and no job holds one of these."""
    tables = await world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'smm'")
    for table in (*(f"smm.{row.tablename}" for row in tables), "pgqueue.all_jobs"):
        found = await world.rows(
            f"SELECT t::text AS line FROM {table} t WHERE EXISTS"
            " (SELECT FROM unnest(CAST(:secrets AS text[])) AS s WHERE strpos(t::text, s) > 0)",
            secrets=list(secrets),
        )
        assert not found, table


def our_client(network: MastodonStandIn) -> tuple[str, str]:
    return "client-1", "client-secret-1" if network.doors.consent.knows("client-1", "client-secret-1") else ""
