"""Accounts are connected by their owners, on the networks' own pages, and given up again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from domain.use_cases.accounts.connecting import NotConnected
from pgqueue import Context
from tests.domain.connecting import (
    TOKEN_CALL,
    WAYS,
    Connecting,
    open_connecting,
    owner_of,
    visit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from domain.standins.faults import Kind
    from tests.domain.world import Outside, World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(
    database_url: str, kept_engine: AsyncEngine, outside: Outside, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[Connecting]:
    async with open_connecting(database_url, kept_engine, outside, tmp_path / "objects") as opened:
        yield opened


@pytest.mark.parametrize("provider", WAYS)
async def test_an_account_is_connected_and_used(on: Connecting, provider: str) -> None:
    on.sign_in(provider)
    connected = await on.connect(provider)
    assert connected.is_new
    account = await on.account(connected.account_id)
    assert (account.provider, account.status, account.token_version) == (provider, "active", 1)
    assert account.handle == {"mastodon": "@bia", "instagram": "@bia", "linkedin": "Bia"}[provider]
    assert account.organization_id == on.world.tenant.organization_id
    assert account.connected_by == on.world.tenant.owner_id
    assert (account.access_expires_at is None) == (provider == "mastodon")
    if provider == "instagram":
        return  # a post there needs a picture
    [post_id] = await on.world.app.publishing.schedule_post(
        on.owner, body="olá de novo", scheduled_at=datetime.now(UTC), account_ids=[account.id]
    )
    await on.world.work()
    assert (await on.world.post(post_id)).status == "published"


async def test_the_limits_of_a_server_are_known_from_the_first_post_on(on: Connecting) -> None:
    on.world.network.max_characters = 700
    on.sign_in("mastodon")
    connected = await on.connect("mastodon")
    assert (await on.account(connected.account_id)).limits == {"characters": 700}


async def test_we_register_once_on_a_server_and_again_when_it_has_forgotten_us(on: Connecting) -> None:
    on.sign_in("mastodon")
    await asyncio.gather(on.leave("mastodon"), on.leave("mastodon"))
    assert len(await on.world.rows("SELECT FROM smm.provider_apps")) == 1
    url = await on.leave("mastodon")
    given = await visit(url)
    on.world.network.doors.consent.forget_clients()
    with pytest.raises(NotConnected) as failed:
        await on.come_back(given)
    assert failed.value.code == "invalid_client"
    assert (await on.connect("mastodon")).is_new


@pytest.mark.parametrize("provider", WAYS)
async def test_a_state_is_good_once(on: Connecting, provider: str) -> None:
    on.sign_in(provider)
    given = await visit(await on.leave(provider))
    results = await asyncio.gather(on.come_back(given), on.come_back(given), return_exceptions=True)
    [lost] = [result for result in results if isinstance(result, NotConnected)]
    assert lost.code == "unknown_state"
    with pytest.raises(NotConnected):
        await on.come_back(given)
    assert len(
        await on.world.rows("SELECT FROM smm.social_accounts WHERE provider = :p AND handle <> ''", p=provider)
    ) == (3 if provider == "mastodon" else 1)


async def test_a_state_is_good_for_its_user_and_for_ten_minutes(on: Connecting) -> None:
    on.sign_in("mastodon")
    given = await visit(await on.leave("mastodon"))
    for nosy in (on.world.tenant.context, owner_of(on.world.stranger)):
        with pytest.raises(NotConnected) as refused:
            await on.come_back(given, nosy)
        assert refused.value.code == "unknown_state"
    await on.world.execute("UPDATE smm.account_connections SET expires_at = now()")
    with pytest.raises(NotConnected) as refused:
        await on.come_back(given)
    assert refused.value.code == "unknown_state"
    for forged in ("", "x" * 1000, "é\ud800"):
        with pytest.raises(NotConnected):
            await on.come_back({"state": forged, "code": given["code"]})


async def test_the_account_goes_to_the_organization_that_the_user_set_out_from(on: Connecting) -> None:
    on.sign_in("mastodon")
    given = await visit(await on.leave("mastodon"))
    elsewhere = Context(str(on.world.stranger.organization_id), on.owner.user_id)
    connected = await on.come_back(given, elsewhere)
    assert connected.organization_id == on.world.tenant.organization_id


@pytest.mark.parametrize("provider", WAYS)
async def test_a_user_who_says_no_connects_nothing(on: Connecting, provider: str) -> None:
    on.sign_in(provider, None)
    given = await visit(await on.leave(provider))
    assert given["error"] == "access_denied"
    with pytest.raises(NotConnected) as refused:
        await on.come_back(given)
    assert refused.value.code == "denied"


@pytest.mark.parametrize("provider", WAYS)
async def test_a_code_that_is_not_good_is_refused(on: Connecting, provider: str) -> None:
    on.sign_in(provider)
    given = await visit(await on.leave(provider))
    with pytest.raises(NotConnected) as refused:
        await on.come_back(given | {"code": "somebody-elses-code"})
    assert refused.value.code == "invalid_grant"
    assert "somebody-elses-code" not in repr([refused.value, refused.value.__cause__])
    with pytest.raises(NotConnected):  # the state is spent
        await on.come_back(given)


async def test_a_code_without_its_verifier_is_worth_nothing(on: Connecting) -> None:
    on.sign_in("mastodon")
    given = await visit(await on.leave("mastodon"))
    mine = await visit(await on.leave("mastodon"))
    with pytest.raises(NotConnected) as refused:
        await on.come_back({"state": mine["state"], "code": given["code"]})
    assert refused.value.code == "invalid_grant"


@pytest.mark.parametrize("provider", WAYS)
@pytest.mark.parametrize("kind", ["garbage", "drop", "drip", "error", "rate_limit"])
async def test_a_token_endpoint_that_fails_connects_nothing(on: Connecting, provider: str, kind: Kind) -> None:
    on.sign_in(provider)
    given = await visit(await on.leave(provider))
    before = len(await on.world.rows("SELECT FROM smm.social_accounts"))
    on.faults(provider).set(kind, path=TOKEN_CALL[provider], seconds=3)
    async with asyncio.timeout(2.5):
        with pytest.raises(NotConnected) as failed:
            await on.come_back(given)
    assert failed.value.code in {"bad_answer", "no_answer", "http_500", "http_429"}
    assert len(await on.world.rows("SELECT FROM smm.social_accounts")) == before
    assert (await on.connect(provider)).is_new


async def test_a_network_that_is_not_set_up_says_so(world: World) -> None:
    for provider in ("instagram", "linkedin"):
        with pytest.raises(NotConnected) as refused:
            await world.app.accounts.start_connecting(owner_of(world.tenant), provider)
        assert refused.value.code == "not_set_up"
    with pytest.raises(NotConnected) as refused:
        await world.app.accounts.start_connecting(owner_of(world.tenant), "myspace")
    assert refused.value.code == "unknown_provider"


@pytest.mark.parametrize(
    "named",
    [
        "",
        "http://social.example",
        "https://10.0.0.1",
        "https://[::1]",
        "https://169.254.169.254",
        "https://user:pass@social.example",
        "https://social.example/api",
        "https://social.example?x",
        "ftp://127.0.0.1",
        "https://soc ial.example",
        "https://exämple.org",
        "https://nowhere.invalid",
        "https://[",
    ],
)
async def test_no_server_is_asked_that_is_not_public(world: World, named: str) -> None:
    with pytest.raises(NotConnected) as refused:
        await world.app.accounts.start_connecting(owner_of(world.tenant), "mastodon", server=named)
    assert refused.value.code == "bad_server"
    with pytest.raises(NotConnected):
        await world.app.accounts.connect_with_password(
            owner_of(world.tenant), identifier="a", password="b", server=named
        )


async def test_a_server_that_leads_inside_later_is_not_called(world: World) -> None:
    await world.execute("UPDATE smm.social_accounts SET base_url = 'http://10.1.2.3'")
    post_id = await world.schedule()
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "blocked_address")
