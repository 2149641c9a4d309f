"""Accounts are connected over HTTP, as a browser does it: on all four networks, and by nobody else's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import Response

from domain.http.browsers import browser_of, known_browser
from domain.standins import BlueskyStandIn
from tests.domain.api import Api, open_api, refused
from tests.domain.connecting import WAYS, Connecting, open_connecting, visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.domain.world import Outside

pytestmark = pytest.mark.anyio


@pytest.fixture
async def on(
    database_url: str, kept_engine: AsyncEngine, outside: Outside, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[tuple[Connecting, Api]]:
    async with (
        open_connecting(database_url, kept_engine, outside, tmp_path / "objects") as connecting,
        open_api(connecting.world) as api,
    ):
        yield connecting, api


async def leave(api: Api, provider: str) -> dict[str, str]:
    """Set out for a network in this browser, allow us in there, and say with what the browser is sent back."""
    wish = {"provider": provider} | ({"server": api.world.network.url} if provider == "mastodon" else {})
    tenant = api.world.tenant
    answer = await api.ask("POST", f"{api.of(tenant)}/connections", by=tenant.owner_id, json=wish)
    assert answer.status_code == 201, answer.text
    return await visit(answer.json()["url"])


def shows(page: httpx.Response, status: int, words: str) -> None:
    assert page.status_code == status, page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert words in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_an_account_on_each_network_is_connected_by_the_browser_that_set_out(on: tuple[Connecting, Api]) -> None:
    connecting, api = on
    world, owner, base = api.world, api.world.tenant.owner_id, api.of(api.world.tenant)
    given = {}
    for provider in WAYS:  # all at once, in tabs
        connecting.sign_in(provider)
        given[provider] = await leave(api, provider)
    for provider, name in zip(WAYS, ("Mastodon", "Instagram", "LinkedIn"), strict=True):
        page = await api.ask("GET", "/accounts/callback", params=given[provider])
        shows(page, 200, f"aurora can publish on {name} as ")
    shows(await api.ask("GET", "/accounts/callback", params=given["linkedin"]), 422, "This attempt is over")
    with BlueskyStandIn() as bluesky:
        bluesky.add_account("bia.example", "xxxx-xxxx")
        body = {"identifier": "@bia.example", "password": "wrong", "server": bluesky.url}
        answer = await api.ask("POST", f"{base}/app-passwords", by=owner, json=body)
        assert refused(answer, 422, "not-connected")["reason"] == "wrong_credentials"
        answer = await api.ask("POST", f"{base}/app-passwords", by=owner, json=body | {"password": "xxxx-xxxx"})
        assert answer.status_code == 201, answer.text
    accounts = (await api.get(f"{base}/accounts", by=owner))["items"]
    assert sorted(each["provider"] for each in accounts if each["id"] != str(world.tenant.account_id)) == [
        "bluesky",
        "instagram",
        "linkedin",
        "mastodon",
    ]


def test_with_tls_the_cookie_is_bound_to_the_host_and_kept_from_scripts() -> None:
    response = Response()
    name = known_browser(Request({"type": "http", "headers": []}), response, secure=True)
    cookie = f"__Host-smm-browser={name}"
    said = response.headers["Set-Cookie"]
    assert said.split("; ")[0] == cookie
    assert {"HttpOnly", "Path=/", "Secure", "SameSite=lax"} <= set(said.split("; "))
    assert "Domain" not in said
    again = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    assert known_browser(again, Response(), secure=True) == name
    assert browser_of(again, secure=False) is None


async def test_a_browser_that_did_not_set_out_connects_nothing(on: tuple[Connecting, Api]) -> None:
    connecting, api = on
    world = api.world
    connecting.sign_in("mastodon", "bia<script>")
    given = await leave(api, "mastodon")
    [cookie] = list(api.client.cookies.jar)
    api.client.cookies.clear()  # whoever was sent to the network with somebody else's state
    for planted in (None, "x" * 43):
        headers = {"Cookie": f"{cookie.name}={planted}"} if planted else {}
        shows(await api.ask("GET", "/accounts/callback", params=given, headers=headers), 422, "in another browser")
    shows(await api.ask("GET", "/accounts/callback"), 422, "This attempt is over")
    api.client.cookies.jar.set_cookie(cookie)
    stamp = "UPDATE smm.users SET security_stamp = :stamp WHERE id = :id RETURNING 1"
    [before] = await world.rows("SELECT security_stamp FROM smm.users WHERE id = :id", id=world.tenant.owner_id)
    await world.rows(stamp, stamp="00000000-0000-4000-8000-000000000000", id=world.tenant.owner_id)  # a new password
    shows(await api.ask("GET", "/accounts/callback", params=given), 422, "in another browser")
    await world.rows(stamp, stamp=before.security_stamp, id=world.tenant.owner_id)
    connecting.sign_in("mastodon", "caio")
    shows(await api.ask("GET", "/accounts/callback", params=await leave(api, "mastodon")), 200, "@caio is connected")
    await world.execute("UPDATE smm.organizations SET plan = 'free'")
    shows(await api.ask("GET", "/accounts/callback", params=given), 409, "Your plan allows no more accounts")
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    given = await leave(api, "mastodon")
    await world.execute("UPDATE smm.memberships SET role = 'viewer'")
    shows(await api.ask("GET", "/accounts/callback", params=given), 403, "Your role does not allow it")
    await world.execute("UPDATE smm.memberships SET role = 'owner'")
    given = await leave(api, "mastodon")
    connecting.sign_in("mastodon", "bia<script>")
    portuguese = {"Accept-Language": "pt-BR,pt;q=0.9"}
    denied = await api.ask("GET", "/accounts/callback", params=given | {"error": "access_denied"}, headers=portuguese)
    shows(denied, 422, "A rede informou que você não autorizou")
    page = await api.ask("GET", "/accounts/callback", params=await leave(api, "mastodon"), headers=portuguese)
    shows(page, 200, "@bia&lt;script&gt; está conectada")
