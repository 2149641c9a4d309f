"""The pages to which mailed links lead: looking at one changes nothing, its form does what the API does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.domain.signing_up import PASSWORD, links

if TYPE_CHECKING:
    import httpx

    from tests.domain.api import Api

pytestmark = pytest.mark.anyio

PORTUGUESE = {"Accept-Language": "pt-BR,pt;q=0.9"}
NEW = "another good password"


def shows(page: httpx.Response, status: int, words: str) -> str:
    """The page says so, and may load nothing and run nothing; a form is sent to us alone."""
    assert page.status_code == status, page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert words in page.text, page.text
    policy = dict(each.split(" ", 1) for each in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == ("'self'" if "<form" in page.text else "'none'")
    assert policy["style-src"].startswith("'sha256-")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script|\bsrc=|\bhref=|\bon\w+=|style=", page.text)
    return page.text


async def opened(api: Api, to: str) -> tuple[str, str]:
    """The way of the last link that was mailed to somebody, and its secret."""
    await api.world.work()
    [text] = [each["text"] for each in api.world.mail.state()["messages"] if each["to"] == [to]][-1:]
    [way] = re.findall(r"http://127\.0\.0\.1:8000(\S+)", text)
    return way, links(api.world, to)[-1]


@pytest.mark.trap("a program that looks through mails follows the link")
async def test_an_address_is_proved_by_the_button_and_not_by_looking(api: Api) -> None:
    await api.ask("POST", "/users", json={"email": "ana@nova.example", "password": PASSWORD, "name": "Ana"})
    way, secret = await opened(api, "ana@nova.example")
    with capture_logs() as logged:
        assert (await api.ask("HEAD", way)).status_code == 200
        for _ in range(2):
            assert secret in shows(await api.ask("GET", way), 200, "Confirm your address")
        [row] = await api.world.rows("SELECT status FROM smm.users WHERE email = 'ana@nova.example'")
        assert row.status == "pending"
        forged = await api.ask("POST", "/verify-email", data={"secret": secret[:-4] + "abcd"}, headers=PORTUGUESE)
        shows(forged, 422, "Este link não vale mais")
        for _ in range(2):  # somebody presses twice
            done = await api.ask("POST", "/verify-email", data={"secret": secret})
            shows(done, 200, "Your address is confirmed")
    assert [row.status for row in await api.world.rows("SELECT status FROM smm.users WHERE name = 'Ana'")] == ["active"]
    assert logged
    assert secret not in str(logged)


async def test_a_new_password_is_chosen_on_a_page(api: Api) -> None:
    email = "owner@aurora.example"
    await api.ask("POST", "/password-resets", json={"email": email})
    way, secret = await opened(api, email)
    shows(await api.ask("GET", way, headers=PORTUGUESE), 200, "Escolha uma nova senha")
    short = await api.ask("POST", "/reset-password", data={"secret": secret, "password": "<b>"})
    assert secret in shows(short, 422, "The password must have 10 to 200 characters.")
    same = await api.ask("POST", "/reset-password", data={"secret": secret, "password": "a" * 12}, headers=PORTUGUESE)
    shows(same, 422, "A senha se repete")
    wanted = {"secret": secret, "password": NEW}
    shows(await api.ask("POST", "/reset-password", data=wanted), 200, "Your new password is set")
    again = await api.ask("POST", "/reset-password", data=wanted)  # somebody presses twice
    assert "If you have set a new password with this link, it holds" in shows(
        again, 422, "This link is not good any more"
    )
    answer = await api.ask("POST", "/sessions", json={"email": email, "password": NEW})
    assert answer.status_code == 201


async def test_what_a_page_is_sent_is_shown_as_text_and_what_is_no_form_is_empty(api: Api) -> None:
    page = shows(await api.ask("GET", "/verify-email?secret=%22%3E%3Cb%3E"), 200, "Confirm your address")
    assert "<b>" not in page
    for content in (b"", b"\xff&=&secret", b"&".join([b"secret=a"] * 11)):
        shows(await api.ask("POST", "/verify-email", content=content), 422, "This link is not good any more")


async def test_an_invitation_is_answered_by_whoever_signs_in_on_its_page(api: Api) -> None:
    world, guest = api.world, api.world.stranger.author_id
    await api.token(guest)
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    members, ways = f"{api.of(world.tenant)}/invitations", []
    for email in ("author@horizonte.example", "somebody@else.example"):
        body = {"email": email, "role": "viewer"}
        answer = await api.ask("POST", members, by=world.tenant.owner_id, json=body)
        assert answer.status_code == 201, answer.text
        ways.append(f"/invitations/{answer.json()['id']}")
    way, others = ways
    await world.work()
    assert any(way in message["text"] for message in world.mail.state()["messages"])
    shows(await api.ask("GET", way), 200, "You are invited to an organization")
    me = {"email": "author@horizonte.example", "password": PASSWORD, "answer": "accept"}
    shows(await api.ask("POST", way, data=me | {"password": "wrong"}, headers=PORTUGUESE), 403, "está errado")
    shows(await api.ask("POST", others, data=me), 404, "There is no such invitation for your address")
    await world.execute("UPDATE smm.organizations SET plan = 'free'")
    shows(await api.ask("POST", way, data=me), 409, "plan allows no more members")
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    shows(await api.ask("POST", way, data=me, headers=PORTUGUESE), 200, "Agora você faz parte da organização")
    assert [each["id"] for each in await api.get("/organizations", by=guest)].count(
        str(world.tenant.organization_id)
    ) == 1
    again = shows(await api.ask("POST", way, data=me), 404, "it was answered already")
    assert "You did not join" not in again  # they did, with the first press
    open_ = await world.rows("SELECT FROM smm.sessions WHERE user_id = :id AND revoked_at IS NULL", id=guest)
    assert len(open_) == 1  # the one that this test has; the page's own have ended


async def test_whoever_comes_back_from_stripe_finds_a_page(api: Api) -> None:
    owner, base = api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/billing"
    assert (await api.ask("POST", f"{base}/checkout", by=owner, json={"plan": "pro"})).status_code == 201
    [session] = api.world.stripe.state()["checkouts"]
    ways = [session[name].removeprefix("http://127.0.0.1:8000") for name in ("success_url", "cancel_url")]
    done = shows(await api.ask("GET", ways[0]), 200, "as soon as Stripe has told us of the payment")
    assert "✓" in done
    shows(await api.ask("GET", ways[1], headers=PORTUGUESE), 200, "O plano continua como está")
    shows(await api.ask("GET", "/billing"), 200, "What you changed there")
