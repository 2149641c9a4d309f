"""Credentials that end: renewed once, however many want to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.gateways.failures import AuthExpired
from domain.jobs import RefreshExpiringTokensJob
from domain.standins import BlueskyStandIn, InstagramStandIn
from pgqueue.errors import LockTaken
from tests.domain.networks import OnNetwork, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pgqueue import Context
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(world: World) -> AsyncIterator[OnNetwork]:
    with BlueskyStandIn() as network:
        yield await connect(world, "bluesky", network)


@pytest.fixture
async def on_instagram(world: World) -> AsyncIterator[OnNetwork]:
    with InstagramStandIn() as network:
        yield await connect(world, "instagram", network)


async def test_the_sweep_renews_what_ends_soon_and_nothing_else(on: OnNetwork) -> None:
    await _sweep(on)
    assert (await on.account()).token_version == 1
    await _ends_in(on, timedelta(minutes=10))
    await _sweep(on)
    account = await on.account()
    assert account.token_version == 2
    assert account.last_refreshed_at is not None
    assert account.access_expires_at is not None
    assert account.access_expires_at > datetime.now(UTC) + timedelta(hours=1)
    assert (await on.world.jobs("RefreshExpiringTokensJob"))[-1] == ("completed", 1)


async def test_two_sweeps_at_once_renew_an_account_once(on: OnNetwork) -> None:
    await _ends_in(on, timedelta(minutes=1))
    await asyncio.gather(_enqueue(on), _enqueue(on))
    await on.world.work()
    await on.world.make_due()
    await on.world.work()
    assert (await on.account()).token_version == 2
    assert isinstance(on.network, BlueskyStandIn)
    assert on.network.called("refreshSession") == 1


@pytest.mark.trap("two renew a token that is good once")
async def test_of_many_who_renew_at_once_one_asks_the_network(on: OnNetwork) -> None:
    renew = on.world.app.publishing.publish_scheduled_post.renew_tokens
    context = on.world.tenant.context
    results = await asyncio.gather(
        *(renew(context, on.account_id, seen_version=1) for _ in range(8)), return_exceptions=True
    )
    assert {type(result) for result in results} <= {type(None), LockTaken}
    assert isinstance(on.network, BlueskyStandIn)
    assert on.network.called("refreshSession") == 1
    await renew(context, on.account_id, seen_version=1)  # late: it saw the tokens that are no more
    assert on.network.called("refreshSession") == 1
    assert (await on.account()).token_version == 2


@pytest.mark.trap("a crash between the new tokens and their commit")
async def test_a_lost_answer_to_a_renewal_is_made_good_by_the_same_token(on: OnNetwork) -> None:
    on.network.faults.set("drop", path="refreshSession")
    await _ends_in(on, timedelta(minutes=1))
    await _enqueue(on)
    await on.world.work()
    account = await on.account()
    assert (account.token_version, account.refresh_failures) == (1, 1)
    await on.world.make_due()
    await on.world.work()
    account = await on.account()
    assert (account.token_version, account.refresh_failures, account.status) == (2, 0, "active")


async def test_a_dead_grant_needs_a_human_and_is_no_dead_letter(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.revoke()
    await _ends_in(on, timedelta(minutes=1))
    await _sweep(on)
    account = await on.account()
    assert (account.status, account.status_reason, account.token_version) == ("needs_reauth", "ExpiredToken", 1)
    assert ("discarded", 1) in await on.world.jobs("RefreshExpiringTokensJob")


async def test_a_limit_on_renewals_spends_no_attempt(on: OnNetwork) -> None:
    on.network.faults.set("rate_limit", seconds=60, path="refreshSession")
    await _ends_in(on, timedelta(minutes=1))
    await _enqueue(on)
    await on.world.work()
    assert ("waiting", 0) in await on.world.jobs("RefreshExpiringTokensJob")
    await on.world.make_due()
    await on.world.work()
    assert (await on.account()).token_version == 2


async def test_tokens_that_are_too_young_to_be_renewed_are_left_alone(on_instagram: OnNetwork) -> None:
    on = on_instagram
    await _ends_in(on, timedelta(days=9))
    await on.world.execute("UPDATE smm.social_accounts SET last_refreshed_at = now() - interval '23 hours'")
    await _sweep(on)
    assert (await on.account()).token_version == 1
    await on.world.execute("UPDATE smm.social_accounts SET last_refreshed_at = now() - interval '25 hours'")
    await _sweep(on)
    account = await on.account()
    assert account.token_version == 2
    assert on.world.app.vault.open(account.id, account.credentials).access == "renewed-1"
    # and with the new token a post can be published
    post_id = await on.schedule()
    for _ in range(3):
        await on.world.make_due()
        await on.world.work()
    assert (await on.world.post(post_id)).status == "published"


async def test_no_token_is_seen_in_jobs_rows_or_errors(on: OnNetwork) -> None:
    on.network.faults.set("garbage", path="refreshSession")
    await _ends_in(on, timedelta(minutes=1))
    await _sweep(on)
    for table in ("pgqueue.jobs", "smm.social_accounts", "smm.publish_attempts"):
        rows = await on.world.rows(f"SELECT t::text AS line FROM {table} t")
        assert not [row for row in rows if "refresh-" in row.line or "access-" in row.line]


async def test_a_stranger_renews_nothing(on: OnNetwork) -> None:
    renew = on.world.app.publishing.publish_scheduled_post.renew_tokens
    await renew(on.world.stranger.context, on.account_id, seen_version=1)
    assert (await on.account()).token_version == 1


async def test_a_grant_that_ends_while_it_is_renewed_ends_once(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.revoke()
    renew = on.world.app.publishing.publish_scheduled_post.renew_tokens
    context: Context = on.world.tenant.context
    with pytest.raises(AuthExpired):
        await renew(context, on.account_id, seen_version=1)
    await renew(context, on.account_id, seen_version=1)  # the account says so by now
    assert on.network.called("refreshSession") == 1


async def _ends_in(on: OnNetwork, left: timedelta) -> None:
    await on.world.execute(
        "UPDATE smm.social_accounts SET access_expires_at = now() + :left WHERE id = :id", left=left, id=on.account_id
    )


async def _enqueue(on: OnNetwork) -> None:
    async with on.world.app.units.begin(on.world.stranger.context) as uow:
        await uow.dispatch(RefreshExpiringTokensJob())


async def _sweep(on: OnNetwork) -> None:
    await _enqueue(on)
    await on.world.work()
    await on.world.make_due()
    await on.world.work()
