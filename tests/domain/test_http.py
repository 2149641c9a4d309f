"""The API from end to end: what a client does, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.domain import files
from tests.domain.api import refused
from tests.domain.connecting import visit

if TYPE_CHECKING:
    from tests.domain.api import Api

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


async def test_a_post_goes_from_a_request_to_the_network_and_back(api: Api) -> None:
    author, base = api.world.tenant.author_id, api.of(api.world.tenant)
    chain = uuid4()
    answer = await api.ask(
        "POST", f"{base}/posts", by=author, json=api.a_post(now=True), headers={"X-Request-Id": str(chain)}
    )
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
    wanted = api.a_post(media_ids=[media_id])
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


async def test_an_account_is_connected_on_its_networks_page_and_given_up(api: Api) -> None:
    world, owner, base = api.world, api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/accounts"
    world.network.add_account("bia", "the-own-token-of-bia")
    world.network.doors.consent.visitor = "bia"
    wish = {"provider": "mastodon", "server": world.network.url}
    answer = await api.ask("POST", f"{api.of(world.tenant)}/connections", by=owner, json=wish)
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
    refused(await api.ask("POST", f"{api.of(world.tenant)}/connections", by=owner, json=wish), 422, "not-connected")


async def test_a_time_on_the_wall_follows_its_zone(api: Api) -> None:
    author, posts = api.world.tenant.author_id, f"{api.of(api.world.tenant)}/posts"
    at: dict[str, Any] = {"scheduled_at": "2099-01-01T09:00:00"}
    refused(await api.ask("POST", posts, by=author, json=api.a_post(**at)), 422, "invalid-post")
    refused(await api.ask("POST", posts, by=author, json=api.a_post(**at, zone="Mars/Base")), 422, "invalid-post")
    answer = await api.ask("POST", posts, by=author, json=api.a_post(**at, zone="America/Sao_Paulo"))
    assert answer.status_code == 201, answer.text
    [publication] = (await api.get(f"{api.of(api.world.tenant)}/publications", by=author))["items"]
    assert datetime.fromisoformat(publication["scheduled_at"]) == datetime(2099, 1, 1, 12, tzinfo=UTC)


async def test_a_plan_is_paid_for_on_stripes_page(api: Api) -> None:
    owner, base = api.world.tenant.owner_id, f"{api.of(api.world.tenant)}/billing"
    refused(await api.ask("POST", f"{base}/portal", by=owner), 409, "not-for-sale")
    refused(await api.ask("POST", f"{base}/checkout", by=owner, json={"plan": "free"}), 422, "invalid")
    api.world.stripe.service.close()
    answer = await api.ask("POST", f"{base}/checkout", by=owner, key="a-click", json={"plan": "pro"})
    refused(answer, 502, "failed-elsewhere")
    api.world.stripe.service.open()
    pages = [await api.ask("POST", f"{base}/checkout", by=owner, key="a-click", json={"plan": "pro"}) for _ in "12"]
    assert [page.status_code for page in pages] == [201, 201]
    [session] = api.world.stripe.state()["checkouts"]
    assert {page.json()["url"] for page in pages} == {session["url"]}
    assert (await api.ask("POST", f"{base}/portal", by=owner)).status_code == 201
