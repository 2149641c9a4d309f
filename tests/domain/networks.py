"""The four networks as tests use them: a stand-in, an account on it, and what it has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.gateways.bluesky import Bluesky
from domain.gateways.vault import Tokens
from domain.models import Media, SocialAccount, new_id
from domain.standins import BlueskyStandIn, InstagramStandIn, LinkedInStandIn, MastodonStandIn

if TYPE_CHECKING:
    from uuid import UUID

    from domain.models import ScheduledPost
    from domain.standins.networks import NetworkStandIn
    from tests.domain.world import World

SECRET = "a-secret-of-the-network"
PROVIDERS = ("mastodon", "bluesky", "instagram", "linkedin")
every = pytest.mark.parametrize("on", PROVIDERS, indirect=True)
# The call after which a post exists.
MAKES_THE_POST = {
    "mastodon": "/api/v1/statuses",
    "bluesky": "putRecord",
    "instagram": "media_publish",
    "linkedin": "/rest/posts",
}


@dataclass
class OnNetwork:
    """An account of the world's tenant on one network."""

    world: World
    provider: str
    network: NetworkStandIn | MastodonStandIn
    account_id: UUID
    media_ids: list[UUID] = field(default_factory=list)

    async def schedule(self, body: str = "olá") -> UUID:
        [post_id] = await self.world.app.publishing.schedule_post(
            self.world.tenant.context,
            body=body,
            scheduled_at=datetime.now(UTC),
            account_ids=[self.account_id],
            media_ids=self.media_ids,
        )
        return post_id

    def spoil(self, kind: str, *, calls: int = 1, seconds: float = 1.5) -> None:
        """Spoil the call that makes the post."""
        # Mastodon's switches know only calls to publish
        path = "" if self.provider == "mastodon" else MAKES_THE_POST[self.provider]
        self.network.faults.set(kind, calls=calls, seconds=seconds, path=path)  # type: ignore[arg-type] # a fault's name

    def texts(self) -> list[str]:
        state = self.network.state()
        return [post["text"] for post in state["statuses" if self.provider == "mastodon" else "posts"]]

    async def account(self) -> SocialAccount:
        async with self.world.app.units.sessions() as session:
            return await session.get_one(SocialAccount, self.account_id)


def make(provider: str) -> NetworkStandIn | MastodonStandIn:
    match provider:
        case "bluesky":
            return BlueskyStandIn()
        case "instagram":
            return InstagramStandIn()
        case "linkedin":
            return LinkedInStandIn()
        case _:
            return MastodonStandIn()


async def connect(world: World, provider: str, network: NetworkStandIn | MastodonStandIn) -> OnNetwork:
    """Connect an account as a user would, and give it a clean picture where the network wants one."""
    external_id, tokens, expires_at = await _grant(world, network)
    account_id = new_id()
    sealed = world.app.vault.seal(account_id, tokens)
    on_network = OnNetwork(world, provider, network, account_id)
    async with world.app.units.begin(world.tenant.context) as uow:
        uow.session.add(
            SocialAccount(
                id=account_id,
                organization_id=world.tenant.organization_id,
                provider=provider,
                base_url=network.url,
                external_id=external_id,
                handle=f"@{provider}",
                connected_by=world.tenant.owner_id,
                credentials=sealed.blob,
                credentials_kid=sealed.kid,
                access_expires_at=expires_at,
            )
        )
        if provider == "instagram":
            picture = a_picture(world)
            uow.session.add(picture)
            on_network.media_ids.append(picture.id)
    return on_network


def a_picture(world: World, content: bytes = b"jpg") -> Media:
    """Make the row of a file that was scanned."""
    media_id = new_id()
    return Media(
        id=media_id,
        organization_id=world.tenant.organization_id,
        uploaded_by=world.tenant.author_id,
        storage_key=f"media/{media_id}",
        filename="pão.jpg",
        declared_type="image/jpeg",
        detected_type="image/jpeg",
        byte_size=len(content),
        sha256=hashlib.sha256(content).digest(),
        scan_status="clean",
        scanned_at=datetime.now(UTC),
    )


async def _grant(world: World, network: NetworkStandIn | MastodonStandIn) -> tuple[str, Tokens, datetime | None]:
    match network:
        case BlueskyStandIn():
            network.add_account("ana", SECRET)
            bluesky = world.app.publishing.networks.of("bluesky")
            assert isinstance(bluesky, Bluesky)
            did, _, renewal = await bluesky.sign_in(network.url, "ana", SECRET)
            return did, renewal.tokens, renewal.expires_at
        case MastodonStandIn():
            return network.add_account("ana", SECRET).id, Tokens(SECRET), None
        case InstagramStandIn() | LinkedInStandIn():
            return network.add_account("ana", SECRET), Tokens(SECRET), datetime.now(UTC) + timedelta(days=60)
        case _:
            raise AssertionError(network)


async def published(on: OnNetwork) -> ScheduledPost:
    """Publish a post; what follows from it has not run yet."""
    post_id = await on.schedule()
    await on.world.work()
    while (post := await on.world.post(post_id)).status == "processing":
        await on.world.execute(
            "UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = 'ProcessScheduledPostJob'"
        )
        await on.world.work()
    assert post.status == "published"
    return post


async def work_on(on: OnNetwork, rounds: int = 4) -> None:
    """Let time pass and work, so often."""
    for _ in range(rounds):
        await on.world.make_due()
        await on.world.work()
