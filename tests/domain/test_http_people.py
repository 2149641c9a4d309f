"""People and organizations through the API: coming, going, and who decides about whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from domain.use_cases.notices import give_notice
from tests.domain.api import refused
from tests.domain.signing_up import PASSWORD, an_operator, links

if TYPE_CHECKING:
    from tests.domain.api import Api

pytestmark = pytest.mark.anyio


async def test_somebody_signs_up_and_in_and_out(api: Api) -> None:
    answer = await api.ask("POST", "/users", json={"email": "Ana@Nova.example", "password": PASSWORD, "name": "Ana"})
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    await api.world.work()
    [secret] = links(api.world)
    answer = await api.ask("POST", "/email-verifications", json={"secret": secret})
    user_id = UUID(answer.json()["user_id"])
    credentials = {"email": "ana@nova.example", "password": PASSWORD}
    answer = await api.ask("POST", "/sessions", json=credentials, headers={"User-Agent": "a browser"})
    session = answer.json()
    assert (answer.status_code, session["user_id"]) == (201, str(user_id))
    api.tokens[user_id] = session["token"]
    me = await api.get("/me", by=user_id)
    assert (me["email"], me["name"], me["status"]) == ("ana@nova.example", "Ana", "active")
    assert await api.get("/organizations", by=user_id) == []
    assert (await api.ask("DELETE", "/sessions/current", by=user_id)).status_code == 204
    refused(await api.ask("GET", "/me", by=user_id), 401, "not-signed-in")


async def test_a_forgotten_password_is_replaced(api: Api) -> None:
    owner = api.world.tenant.owner_id
    await api.token(owner)
    for email in ("owner@aurora.example", "nobody@aurora.example"):
        answer = await api.ask("POST", "/password-resets", json={"email": email})
        assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    await api.world.work()
    [secret] = links(api.world, "owner@aurora.example")
    new = "another good password"
    answer = await api.ask("POST", "/password-resets/redeem", json={"secret": secret, "password": new})
    assert answer.status_code == 204
    refused(await api.ask("GET", "/me", by=owner), 401, "not-signed-in")
    credentials = {"email": "owner@aurora.example", "password": PASSWORD}
    refused(await api.ask("POST", "/sessions", json=credentials), 401, "wrong-credentials")
    assert (await api.ask("POST", "/sessions", json=credentials | {"password": new})).status_code == 201
    answer = await api.ask("POST", "/password-resets/redeem", json={"secret": secret, "password": new})
    refused(answer, 422, "invalid-link")


async def test_operators_suspend_and_ban_and_nobody_else_does(api: Api) -> None:
    world = api.world
    operator = UUID((await an_operator(world)).user_id)
    owner, author, organization = world.tenant.owner_id, world.tenant.author_id, world.tenant.organization_id
    suspension, ban = f"/operations/organizations/{organization}/suspension", f"/operations/users/{author}/ban"
    why = {"reason": "spam"}
    for path in (suspension, ban):
        refused(await api.ask("PUT", path, by=owner, json=why), 403, "forbidden")
        refused(await api.ask("DELETE", path, by=owner), 403, "forbidden")
    await api.token(author)
    assert (await api.ask("PUT", suspension, by=operator, json=why)).status_code == 204
    refused(await api.ask("PUT", suspension, by=operator, json=why), 409, "wrong-state")
    refused(
        await api.ask("POST", f"{api.of(world.tenant)}/posts", by=author, json=api.a_post(now=True)),
        403,
        "forbidden",
    )
    assert await api.get(f"{api.of(world.tenant)}/posts", by=author)
    assert (await api.ask("DELETE", suspension, by=operator)).status_code == 204
    assert (await api.ask("PUT", ban, by=operator, json=why)).status_code == 204
    refused(await api.ask("GET", "/me", by=author), 401, "not-signed-in")
    assert (await api.ask("DELETE", ban, by=operator)).status_code == 204
    refused(await api.ask("PUT", f"/operations/users/{uuid4()}/ban", by=operator, json=why), 404, "not-found")
    refused(await api.ask("GET", f"{api.of(world.tenant)}/posts", by=operator), 404, "not-found")


async def test_who_wants_to_be_forgotten_can_only_take_it_back(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    assert (await api.ask("POST", "/me/deletion", by=author)).status_code == 202
    refused(await api.ask("GET", "/me", by=author), 401, "not-signed-in")
    api.tokens.clear()
    assert (await api.get("/me", by=author))["deletion_due_at"]
    refused(await api.ask("GET", "/organizations", by=author), 403, "account-leaving")
    refused(await api.ask("POST", f"{base}/posts", by=author, json=api.a_post(now=True), key="k"), 403, "forbidden")
    assert (await api.ask("DELETE", "/me/deletion", by=author)).status_code == 204
    refused(await api.ask("DELETE", "/me/deletion", by=author), 404, "not-found")
    assert await api.get(f"{base}/posts", by=author)


async def test_another_address_counts_once_it_is_verified(api: Api) -> None:
    author = api.world.tenant.author_id
    await api.token(author)
    wanted = {"email": "new@aurora.example", "password": PASSWORD}
    refused(
        await api.ask("POST", "/me/email-changes", by=author, json=wanted | {"password": "wrong"}),
        401,
        "wrong-credentials",
    )
    assert (await api.ask("POST", "/me/email-changes", by=author, json=wanted)).status_code == 202
    assert (await api.get("/me", by=author))["pending_email"] == "new@aurora.example"
    await api.world.work()
    [secret] = links(api.world, "new@aurora.example")
    assert (await api.ask("POST", "/email-verifications", json={"secret": secret})).status_code == 200
    assert (await api.get("/me", by=author))["email"] == "new@aurora.example"


async def test_an_organization_is_founded_and_somebody_joins(api: Api) -> None:
    owner, guest = api.world.tenant.owner_id, api.world.stranger.author_id
    wanted = {"name": "Nova Aurora", "timezone": "America/Sao_Paulo"}
    answer = await api.ask("POST", "/organizations", by=owner, json=wanted)
    assert answer.status_code == 201, answer.text
    base = f"/organizations/{answer.json()['id']}"
    assert (await api.ask("PATCH", base, by=owner, json={"name": "Aurora Nova"})).status_code == 204
    found = await api.get(base, by=owner)
    assert (found["name"], found["timezone"], found["role"]) == ("Aurora Nova", "America/Sao_Paulo", "owner")
    assert found in await api.get("/organizations", by=owner)
    refused(await api.ask("PATCH", base, by=owner, json={"timezone": "Mars/Base"}), 422, "invalid-organization")
    invitation = {"email": "author@horizonte.example", "role": "editor"}
    answer = await api.ask("POST", f"{base}/invitations", by=owner, json=invitation)
    assert answer.status_code == 201, answer.text
    assert answer.json()["link"] == f"http://127.0.0.1:8000/invitations/{answer.json()['id']}"
    [open_one] = await api.get("/me/invitations", by=guest)
    assert (await api.get(f"{base}/invitations", by=owner)) == [open_one]
    accept = f"/me/invitations/{open_one['id']}/accept"
    refused(await api.ask("POST", accept, by=api.world.stranger.owner_id), 404, "not-found")
    assert (await api.ask("POST", accept, by=guest)).status_code == 200
    refused(await api.ask("POST", f"{base}/invitations", by=owner, json=invitation), 409, "already-a-member")
    person = f"{base}/members/{guest}"
    refused(await api.ask("DELETE", person, by=guest), 403, "forbidden")
    assert (await api.ask("PATCH", person, by=owner, json={"role": "viewer"})).status_code == 204
    roles = {member["user_id"]: member["role"] for member in await api.get(f"{base}/members", by=guest)}
    assert roles == {str(owner): "owner", str(guest): "viewer"}
    refused(await api.ask("POST", f"{base}/leave", by=owner), 409, "last-owner")
    assert (await api.ask("POST", f"{base}/leave", by=guest)).status_code == 204
    refused(await api.ask("GET", base, by=guest), 404, "not-found")


async def test_who_is_invited_reads_it_in_the_application_and_by_mail_and_strangers_get_no_mail(api: Api) -> None:
    world, owner, guest = api.world, api.world.tenant.owner_id, api.world.stranger.author_id
    base = api.of(world.tenant)
    await world.execute("UPDATE smm.organizations SET plan = 'pro'")
    for address in ("author@horizonte.example", "nobody@fora.example"):
        answer = await api.ask("POST", f"{base}/invitations", by=owner, json={"email": address, "role": "editor"})
        assert answer.status_code == 201, answer.text
    await world.work()
    [mail] = world.mail.state()["messages"]
    assert (mail["to"], mail["subject"]) == (["author@horizonte.example"], "aurora convida você")
    [notice] = (await api.get("/me/notices?unread=true", by=guest))["items"]
    assert (notice["title"], notice["kind"], notice["read_at"]) == (mail["subject"], "organization_invited", None)
    assert notice["link"] in mail["text"]
    mark = f"/me/notices/{notice['id']}/read"
    refused(await api.ask("PUT", mark, by=owner), 404, "not-found")
    for _ in range(2):
        assert (await api.ask("PUT", mark, by=guest)).status_code == 204
    assert (await api.get("/me/notices?unread=true", by=guest))["items"] == []
    [read] = (await api.get("/me/notices", by=guest))["items"]
    assert read["read_at"]


async def test_a_user_chooses_of_what_to_hear_and_how(api: Api) -> None:
    world, owner, path = api.world, api.world.tenant.owner_id, "/me/notices/preferences"
    before = {each.pop("kind"): each for each in await api.get(path, by=owner)}
    assert before["account_needs_reauth"] == before["publish_failed"] == {"in_app": True, "email": True}
    assert before["report_ready"] == before["publish_published"] == {"in_app": True, "email": False}
    wish: dict[str, Any]
    for wanted in (True, False):
        wish = {"kind": "account_needs_reauth", "in_app": wanted, "email": wanted}
        assert (await api.ask("PUT", path, by=owner, json=wish)).status_code == 204
    for wish in (
        {"kind": "weather", "in_app": True, "email": True},
        {"kind": "publish_published", "in_app": True, "email": True},
    ):
        refused(await api.ask("PUT", path, by=owner, json=wish), 422, "invalid-preference")
    after = {each.pop("kind"): each for each in await api.get(path, by=owner)}
    assert after == before | {"account_needs_reauth": {"in_app": False, "email": False}}
    async with world.app.units.begin(world.tenant.context) as uow:
        await give_notice(uow, [owner], "account_needs_reauth", key="k", handle="@a")
    await world.work()
    assert world.mail.state()["messages"] == []
    assert (await api.get("/me/notices?unread=true", by=owner))["items"] == []


async def test_notices_of_an_organization_end_with_the_membership(api: Api) -> None:
    world, author = api.world, api.world.tenant.author_id
    for key in ("one", "two", "three"):
        async with world.app.units.begin(world.tenant.context) as uow:
            await give_notice(uow, [author], "report_ready", key=key)
    first = await api.get("/me/notices?limit=2", by=author)
    second = await api.get(f"/me/notices?limit=2&cursor={first['next_cursor']}", by=author)
    assert (len({each["id"] for each in first["items"] + second["items"]}), second["next_cursor"]) == (3, None)
    assert (await api.ask("PUT", "/me/notices/read", by=author)).status_code == 204
    assert (await api.get("/me/notices?unread=true", by=author))["items"] == []
    await world.execute("DELETE FROM smm.memberships WHERE user_id = :id", id=author)
    assert (await api.get("/me/notices", by=author))["items"] == []
    refused(await api.ask("PUT", f"/me/notices/{first['items'][0]['id']}/read", by=author), 404, "not-found")
