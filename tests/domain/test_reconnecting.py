"""Accounts that are connected again or given up: rights, limits, secrets, and what becomes of posts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.gateways.failures import GatewayError
from domain.standins import BlueskyStandIn
from domain.use_cases.accounts.connecting import NotConnected
from domain.use_cases.administration.operators import Forbidden, UnknownSubject
from domain.use_cases.billing.limits import PlanLimit
from domain.use_cases.organizations.authorizing import NotAMember
from pgqueue import Context
from tests.domain.connecting import (
    WAYS,
    Connecting,
    nothing_shows,
    open_connecting,
    our_client,
    visit,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.domain.world import Outside

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(
    database_url: str, kept_engine: AsyncEngine, outside: Outside, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[Connecting]:
    async with open_connecting(database_url, kept_engine, outside, tmp_path / "objects") as opened:
        yield opened


async def test_editors_connect_nothing_and_strangers_find_nothing(on: Connecting) -> None:
    with pytest.raises(Forbidden):
        await on.leave("mastodon", on.world.tenant.context)
    foreign = Context(str(on.world.stranger.organization_id), on.owner.user_id)
    with pytest.raises(NotAMember):
        await on.leave("mastodon", foreign)
    with pytest.raises(NotAMember):
        await on.accounts.disconnect_account(foreign, on.world.stranger.account_id)
    with pytest.raises(UnknownSubject):
        await on.accounts.disconnect_account(on.owner, on.world.stranger.account_id)


async def test_whoever_lost_the_right_on_the_way_connects_nothing_and_the_grant_goes_back(on: Connecting) -> None:
    on.sign_in("mastodon")
    given = await visit(await on.leave("mastodon"))
    await on.world.execute("UPDATE smm.memberships SET role = 'viewer'")
    with pytest.raises(Forbidden):
        await on.come_back(given)
    assert on.world.network.state()["revoked"] == ["bia"]


async def test_the_plan_limits_accounts_and_not_renewing_one(on: Connecting) -> None:
    await on.world.execute("UPDATE smm.organizations SET plan = 'free'")  # two accounts, of which there is one
    for name in ("bia", "caio"):
        on.sign_in("mastodon", name)
        if name == "bia":
            await on.connect("mastodon")
            continue
        with pytest.raises(PlanLimit, match="2 accounts"):
            await on.connect("mastodon")
    on.world.network.doors.consent.visitor = "bia"
    assert not (await on.connect("mastodon")).is_new


async def test_connecting_again_lets_posts_go_on_that_waited(on: Connecting) -> None:
    on.sign_in("mastodon")
    account_id = (await on.connect("mastodon")).account_id
    publishing = on.world.app.publishing
    await on.world.execute("UPDATE smm.organizations SET retry_after_reconnect = true")
    now, later = datetime.now(UTC), datetime.now(UTC) + timedelta(hours=2)
    [waiting] = await publishing.schedule_post(
        on.owner, body="mais tarde", scheduled_at=later, account_ids=[account_id]
    )
    on.world.network.revoke("granted-bia-1", *our_client(on.world.network))
    [failed] = await publishing.schedule_post(on.owner, body="agora", scheduled_at=now, account_ids=[account_id])
    await on.world.work()
    assert (await on.account(account_id)).status == "needs_reauth"
    await on.world.make_due()  # another job that renewed the tokens in vain may have made the post wait
    await on.world.work()
    assert (await on.world.post(failed)).status == "failed"
    assert (await on.world.post(waiting)).paused_reason == "reauth"
    again = await on.connect("mastodon")
    assert again == (account_id, on.world.tenant.organization_id, False)
    account = await on.account(account_id)
    assert (account.status, account.status_reason, account.token_version) == ("active", None, 2)
    await on.world.work()
    assert (await on.world.post(failed)).status == "published"
    assert (await on.world.post(waiting)).status == "scheduled"


async def test_an_account_that_is_given_up_leaves_nothing_open(on: Connecting) -> None:
    on.sign_in("mastodon")
    account_id = (await on.connect("mastodon")).account_id
    publishing, later = on.world.app.publishing, datetime.now(UTC) + timedelta(hours=2)
    [waiting] = await publishing.schedule_post(on.owner, body="a", scheduled_at=later, account_ids=[account_id])
    soon = datetime.now(UTC) + timedelta(seconds=30)
    [queued] = await publishing.schedule_post(on.owner, body="b", scheduled_at=soon, account_ids=[account_id])
    assert await on.accounts.disconnect_account(on.owner, account_id)
    assert on.world.network.state()["revoked"] == ["bia"]
    account = await on.account(account_id)
    assert (account.status, account.status_reason, account.credentials) == ("revoked", "disconnected", "")
    ends = [(post.status, post.failure_code) for post in (await on.world.post(waiting), await on.world.post(queued))]
    assert ends == [("canceled", "account_revoked"), ("failed", "account_revoked")]
    assert not await on.accounts.disconnect_account(on.owner, account_id)
    await on.world.make_due()
    await on.world.work()
    assert on.world.texts() == []
    again = await on.connect("mastodon")
    assert again.is_new
    assert again.account_id != account_id


async def test_a_network_that_does_not_answer_keeps_no_account(on: Connecting) -> None:
    on.world.network.faults.set("error")
    assert not await on.accounts.disconnect_account(on.owner, on.world.tenant.account_id)
    assert (await on.account(on.world.tenant.account_id)).status == "revoked"


async def test_bluesky_is_connected_with_an_app_password_that_is_kept_nowhere(on: Connecting) -> None:
    connect = on.accounts.connect_with_password
    with BlueskyStandIn() as bluesky:
        bluesky.add_account("bia.example", "an-app-password")
        with pytest.raises(NotConnected) as refused:
            await connect(on.owner, identifier="bia.example", password="guess", server=bluesky.url)
        assert refused.value.code == "wrong_credentials"
        given = {"identifier": " @bia.example", "password": "an-app-password", "server": bluesky.url}
        connected = await connect(on.owner, **given)
        account = await on.account(connected.account_id)
        assert (account.handle, account.status) == ("@bia.example", "active")
        assert account.access_expires_at is not None
        assert not (await connect(on.owner, **given)).is_new
        with pytest.raises(Forbidden):
            await connect(on.world.tenant.context, **given)
        bluesky.faults.set("garbage")
        with pytest.raises(NotConnected):
            await connect(on.owner, **given)
    await nothing_shows(on.world, "an-app-password")


async def test_no_secret_is_seen_in_rows_jobs_or_errors(on: Connecting) -> None:
    carried: list[str] = []
    for provider in WAYS:
        on.sign_in(provider)
        given = await visit(await on.leave(provider))
        await on.come_back(given)
        carried += [given["state"], given["code"]]
    given_out = ("granted-bia", "long-", "short-", "member-token", "our-client-secret", "client-secret-1")
    await nothing_shows(on.world, *carried, *given_out)
    on.faults("linkedin").set("garbage", path="/oauth/v2/accessToken")
    with pytest.raises(NotConnected) as failed:
        await on.connect("linkedin")
    assert isinstance(failed.value.__cause__, GatewayError)
    assert "member-token" not in repr(failed.value.__cause__)
