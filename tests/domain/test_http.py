"""The API from end to end: what a client does, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from tests.domain import files
from tests.domain.api import refused
from tests.domain.connecting import visit
from tests.domain.signing_up import PASSWORD, an_operator, links

if TYPE_CHECKING:
    from tests.domain.api import Api

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


def a_post(api: Api, **changed: Any) -> dict[str, Any]:
    return {
        "body": "Bom dia, São Paulo! 🌞",
        "scheduled_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
        "account_ids": [str(api.world.tenant.account_id)],
    } | changed


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


async def test_a_post_goes_from_a_request_to_the_network_and_back(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    chain = uuid4()
    answer = await api.ask("POST", f"{base}/posts", by=author, json=a_post(api), headers={"X-Request-Id": str(chain)})
    assert answer.status_code == 201, answer.text
    assert answer.headers["X-Request-Id"] == str(chain)
    [publication_id] = answer.json()["publication_ids"]
    jobs = await api.world.rows("SELECT correlation_id FROM pgqueue.all_jobs WHERE kind = 'ProcessScheduledPostJob'")
    assert [row.correlation_id for row in jobs] == [chain]
    await api.world.work()
    publication = await api.get(f"{base}/publications/{publication_id}", by=author)
    assert publication["status"] == "published", publication
    assert publication["permalink"]
    [post] = (await api.get(f"{base}/posts", by=author))["items"]
    assert post == await api.get(f"{base}/posts/{post['id']}", by=author)
    assert (post["media_ids"], post["publications"]) == ([], [publication])
    assert (await api.get(f"{base}/publications?status=failed", by=author))["items"] == []
    answer = await api.ask("POST", f"{base}/publications/{publication_id}/retry", by=author)
    refused(answer, 409, "wrong-state")


async def test_a_failed_publication_is_tried_again(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    publication_id = await api.world.schedule(when=datetime.now(UTC) + DAY)
    await api.world.execute("UPDATE smm.scheduled_posts SET status = 'failed', failure_code = 'x'")
    path = f"{base}/publications/{publication_id}"
    answer = await api.ask("POST", f"{path}/retry", by=author, json={"force": False})
    assert (answer.status_code, answer.json()["status"], answer.json()["retry_no"]) == (202, "dispatched", 1)
    await api.world.work()
    assert (await api.get(path, by=author))["status"] == "published"


async def test_a_file_is_uploaded_scanned_and_attached(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    image = files.an_image()
    answer = await api.ask(
        "POST", f"{base}/media?filename=pão.jpg", by=author, content=image, headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 202, answer.text
    media_id = answer.json()["id"]
    await api.world.work()
    [media] = (await api.get(f"{base}/media", by=author))["items"]
    assert media == await api.get(f"{base}/media/{media_id}", by=author)
    assert (media["filename"], media["scan_status"], media["detected_type"]) == ("pão.jpg", "clean", "image/jpeg")
    tomorrow = (datetime.now(UTC) + DAY).isoformat()
    wanted = a_post(api, media_ids=[media_id], scheduled_at=tomorrow)
    assert (await api.ask("POST", f"{base}/posts", by=author, json=wanted)).status_code == 201
    [post] = (await api.get(f"{base}/posts", by=author))["items"]
    assert post["media_ids"] == [media_id]
    link = await api.world.app.storage.link(
        f"media/{api.world.tenant.organization_id}/{media_id}", now=datetime.now(UTC), lasts=DAY
    )
    fetched = await api.ask("GET", link.partition("8000")[2])
    assert (fetched.headers["Content-Type"], fetched.content) == ("image/jpeg", image)


async def test_what_the_networks_told_can_be_read(api: Api) -> None:
    world, owner, base = api.world, api.world.tenant.owner_id, api.of(api.world.tenant)
    first, second = await world.schedule("café com pão"), await world.schedule("café com pão quente")
    await world.work()
    for number in range(3):
        about = {"o": world.tenant.organization_id, "p": first, "n": number, "at": datetime.now(UTC) - number * DAY}
        await world.execute(
            """INSERT INTO smm.comments (id, organization_id, scheduled_post_id, external_id, author_external_id,
                 author_handle, body_text, posted_at)
               VALUES (gen_random_uuid(), :o, :p, CAST(CAST(:n AS int) AS text), '9', '@bia', 'que bom', :at)""",
            **about,
        )
        await world.execute(
            """INSERT INTO smm.post_metrics (scheduled_post_id, bucket, organization_id, captured_at, likes)
               VALUES (:p, :at, :o, :at, :n)""",
            **about,
        )
    base_of = f"{base}/publications/{first}"
    page = await api.get(f"{base_of}/comments?limit=2", by=owner)
    rest = await api.get(f"{base_of}/comments?limit=2&cursor={page['next_cursor']}", by=owner)
    assert (len(page["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    metrics = await api.get(f"{base_of}/metrics", by=owner)
    assert [each["likes"] for each in metrics["items"]] == [0, 1, 2]
    post, other = (await world.post(first)).post_id, (await world.post(second)).post_id
    similar = await api.get(f"{base}/posts/{post}/similar", by=owner)
    assert [each["post_id"] for each in similar] == [str(other)]


async def test_a_report_is_asked_for_and_fetched_by_a_link(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    wanted = {"kind": "engagement", "format": "csv", "period_start": "2026-01-01", "period_end": "2026-01-31"}
    answer = await api.ask("POST", f"{base}/reports", by=author, json=wanted)
    assert answer.status_code == 202
    report_id = answer.json()["id"]
    refused(await api.ask("POST", f"{base}/reports", by=author, json=wanted), 409, "report-running")
    refused(await api.ask("GET", f"{base}/reports/{report_id}/download", by=author), 404, "not-found")
    await api.world.work()
    report = await api.get(f"{base}/reports/{report_id}", by=author)
    assert (report["status"], report["row_count"]) == ("ready", 0)
    assert (await api.get(f"{base}/reports", by=author))["items"] == [report]
    url = (await api.get(f"{base}/reports/{report_id}/download", by=author))["url"]
    fetched = await api.ask("GET", url.partition("8000")[2])
    assert fetched.status_code == 200
    assert fetched.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert fetched.headers["Content-Disposition"] == "attachment"
    assert len(fetched.content) == report["byte_size"]
    refused(await api.ask("GET", url.partition("8000")[2] + "x"), 404, "not-found")


async def test_an_endpoint_lives_its_life(api: Api) -> None:
    world, owner, base = api.world, api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/webhook-endpoints"
    answer = await api.ask("POST", base, by=owner, json={"url": f"{world.receiver.url}/hook"})
    assert answer.status_code == 201, answer.text
    endpoint_id, secret = answer.json()["id"], answer.json()["secret"]
    world.receiver.trust(secret)
    await world.schedule()
    await world.work()
    [delivery] = (await api.get(f"{base}/{endpoint_id}/deliveries", by=owner))["items"]
    assert (delivery["status"], delivery["event_type"]) == ("delivered", "post.published")
    rotated = (await api.ask("POST", f"{base}/{endpoint_id}/rotate", by=owner)).json()
    assert rotated["secret"] not in (secret, "")
    [endpoint] = (await api.get(base, by=owner))["items"]
    assert endpoint == await api.get(f"{base}/{endpoint_id}", by=owner)
    assert "secret" not in endpoint
    now = datetime.now(UTC)
    span = {"since": (now - timedelta(hours=1)).isoformat(), "until": now.isoformat()}
    answer = await api.ask("POST", f"{base}/{endpoint_id}/replays", by=owner, json=span)
    assert (answer.status_code, answer.json()) == (202, {"count": 0})
    refused(await api.ask("POST", f"{base}/{endpoint_id}/enable", by=owner), 422, "invalid-endpoint")
    assert (await api.ask("DELETE", f"{base}/{endpoint_id}", by=owner)).status_code == 204
    refused(await api.ask("DELETE", f"{base}/{endpoint_id}", by=owner), 404, "not-found")
    refused(await api.ask("POST", base, by=owner, json={"url": "https://169.254.169.254/"}), 422, "invalid-endpoint")


async def test_an_event_is_taken_only_as_stripe_signed_it(api: Api) -> None:
    body, signature = api.world.stripe.event("invoice.paid", {"object": "invoice", "customer": "cus_1"})
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    for expected in ("stored", "known"):
        answer = await api.ask("POST", "/stripe/events", content=body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"status": expected})
    # the same JSON in other bytes is not what was signed
    refused(await api.ask("POST", "/stripe/events", content=body + b" ", headers=headers), 400, "forged")
    refused(await api.ask("POST", "/stripe/events", content=body), 400, "forged")


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
        await api.ask("POST", f"{api.of(world.tenant)}/posts", by=author, json=a_post(api)),
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
    refused(await api.ask("POST", f"{base}/posts", by=author, json=a_post(api), key="k"), 403, "forbidden")
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


async def test_an_account_is_connected_on_its_networks_page_and_given_up(api: Api) -> None:
    world, owner, base = api.world, api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/accounts"
    world.network.add_account("bia", "the-own-token-of-bia")
    world.network.doors.consent.visitor = "bia"
    wish = {"provider": "mastodon", "server": world.network.url}
    answer = await api.ask("POST", f"{base}/connections", by=owner, json=wish)
    assert answer.status_code == 201, answer.text
    brought = await visit(answer.json()["url"])
    stolen = await api.ask("POST", "/account-connections", by=world.stranger.owner_id, json=brought)
    assert refused(stolen, 422, "not-connected")["reason"] == "unknown_state"
    connected = (await api.ask("POST", "/account-connections", by=owner, json=brought)).json()
    account = f"{base}/{connected['account_id']}"
    assert (await api.get(account, by=owner))["handle"] == "@bia"
    assert len((await api.get(base, by=owner))["items"]) == 2
    answer = await api.ask("POST", "/account-connections", by=owner, json=brought)
    refused(answer, 422, "not-connected")
    answer = await api.ask("DELETE", account, by=owner)
    assert (answer.status_code, answer.json()) == (200, {"taken_back": True})
    assert (await api.get(account, by=owner))["status"] == "revoked"
    wish["server"] = "169.254.169.254"
    refused(await api.ask("POST", f"{base}/connections", by=owner, json=wish), 422, "not-connected")
