"""What people and machines send that they should not, all the way through."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.jobs import (
    CaptureCommentsJob,
    DeliverWebhookJob,
    GenerateReportJob,
    GenerateThumbnailJob,
    NotifyPublishResultJob,
    ProcessScheduledPostJob,
    RefreshExpiringTokensJob,
    RetryPublishJob,
    ScanMediaJob,
    SyncAccountMetricsJob,
    SyncPostMetricsJob,
)
from domain.standins import BlueskyStandIn
from domain.system import SYSTEM_ORGANIZATION
from domain.use_cases.scheduling import InvalidPost
from pgqueue import Context
from tests.domain.endpoints import an_endpoint, deliveries, received, tell
from tests.domain.files import an_image, stream
from tests.domain.networks import OnNetwork, connect, make, work_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tests.domain.world import World

pytestmark = pytest.mark.anyio

CAPTIONS = {
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 pão",
    "turned around": "pão \u202egnp.exe\u202c \u2066x\u2069",
    "marks in a pile": "o" + "\u0301\u0316\u0489" * 40,
    "a family": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e7\U0001f1f7 \u2764\ufe0f",
    "beyond sixteen bits": "\U0001d54f \U00020000 \U000e0041",
    "two spellings": "p\u00e3o pa\u0303o",
    "no width": "a\u200bb\u2060c\ufeffd\u00ade",
    "other line ends": "a\u2028b\u2029c\u0085d",
    "not a character": "a\ufffe\uffff\U0010ffffb",
    "control": "a\x01\x1b[31mb\x7f",
    "wide digits": "\uff11\uff0b\uff12 \u0661\u0662",
    "SMTP ends": "a\n.\nb\n..\nMAIL FROM:<x@y.example>",
    "markup": "<script>alert(1)</script> &amp; {{7*7}} ${x} %s \\u0041 '; DROP TABLE posts; --",
}
A_DAY = date(2026, 11, 2)
NOTHING = ["", " \n\t", "\u200b\u2060\ufeff", "\u3164", "\u2800\u115f", "\u0301\ufe0f", "\u202e\u202c", "\u00a0\u2003"]


@pytest.fixture
async def on(world: World, request: pytest.FixtureRequest) -> AsyncIterator[OnNetwork]:
    with make(request.param) as network:
        yield await connect(world, request.param, network)


@pytest.mark.trap("captions with every nastiness of Unicode")
@pytest.mark.parametrize("on", ["mastodon", "bluesky", "linkedin"], indirect=True)
async def test_a_caption_arrives_as_it_was_written_whatever_is_in_it(on: OnNetwork) -> None:
    posts = {name: await on.schedule(body) for name, body in CAPTIONS.items()}
    await work_on(on, rounds=2)
    states = {name: (await on.world.post(post_id)).status for name, post_id in posts.items()}
    assert states == dict.fromkeys(CAPTIONS, "published")
    assert sorted(on.texts()) == sorted(CAPTIONS.values())


@pytest.mark.trap("captions with every nastiness of Unicode")
async def test_a_caption_is_told_of_without_harm(world: World) -> None:
    """It goes into mails, too: it stays text there, and ends no mail."""
    world.network.faults.set("reject", calls=2)
    for name in ("SMTP ends", "control"):
        await world.schedule(CAPTIONS[name])
    await world.work()
    texts = [message["text"].replace("\r\n", "\n") for message in world.mail.state()["messages"]]
    assert len(texts) == 4
    assert sum(CAPTIONS["SMTP ends"] in text for text in texts) == 2


@pytest.mark.trap("captions in which there is nothing to see, or half a character")
async def test_a_caption_in_which_nobody_would_see_anything_is_refused(world: World) -> None:
    for body in NOTHING:
        with pytest.raises(InvalidPost, match="no text"):
            await world.schedule(body)
    for body, complaint in (("a\x00b", "NUL"), ("a\ud83d", "half a character"), ("\udc68b", "half a character")):
        with pytest.raises(InvalidPost, match=complaint):
            await world.schedule(body)
    assert await world.rows("SELECT FROM smm.posts") == []


@pytest.mark.trap("a token ends between check and use")
@pytest.mark.parametrize("on", ["bluesky"], indirect=True)
async def test_a_token_that_ends_between_the_check_and_the_call_is_renewed_and_the_post_appears_once(
    on: OnNetwork,
) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    account = await on.account()
    assert account.access_expires_at is not None
    assert account.access_expires_at > datetime.now(UTC) + timedelta(minutes=5)  # what a check would look at
    on.network.expire_access()
    post_id = await on.schedule()
    await on.world.work()
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]


@pytest.mark.trap("a user is deleted in the middle")
async def test_somebody_who_is_deleted_while_their_post_is_on_its_way_is_told_nothing(world: World) -> None:
    world.network.faults.set("reject")
    world.network.faults.set("slow", seconds=0.5)
    slow, refused = await world.schedule("slow"), await world.schedule("refused")
    working = asyncio.create_task(world.work())
    async with asyncio.timeout(10):
        while "publishing" not in {(await world.post(each)).status for each in (slow, refused)}:
            await world.execute("SELECT pg_sleep(0.01)")
    author = Context(str(SYSTEM_ORGANIZATION), str(world.tenant.author_id))
    await world.app.identity.request_account_deletion(author)
    await world.execute(
        "UPDATE smm.account_deletions SET requested_at = requested_at - interval '31 days', due_at = now()"
    )
    await world.make_due()
    await working
    for _ in range(2):
        await world.make_due()
        await world.work()
    assert {(await world.post(each)).status for each in (slow, refused)} <= {"published", "failed"}
    [user] = await world.rows("SELECT status FROM smm.users WHERE id = :id", id=world.tenant.author_id)
    assert user.status == "anonymized"
    assert await world.rows("SELECT FROM smm.notifications WHERE user_id = :id", id=world.tenant.author_id) == []
    assert await world.rows("SELECT FROM pgqueue.dead_jobs") == []


@pytest.mark.trap("a tenant names another tenant's ids")
async def test_jobs_of_one_tenant_that_name_another_one_s_ids_change_nothing(world: World) -> None:
    post_id, media_id, delivery_id, report_id = await _things_of_the_tenant(world)
    before = await _state(world)
    calls = world.network.state()["calls"], len(received(world)), len(world.clamd.state()["answers"])
    for job in (
        ProcessScheduledPostJob(scheduled_post_id=post_id, schedule_version=1),
        RetryPublishJob(scheduled_post_id=post_id, cause="user", retry_no=1),
        NotifyPublishResultJob(
            scheduled_post_id=post_id, recipient_id=world.tenant.owner_id, outcome="failed", generation=1
        ),
        SyncPostMetricsJob(scheduled_post_id=post_id),
        SyncAccountMetricsJob(social_account_id=world.tenant.account_id, day=A_DAY),
        CaptureCommentsJob(scheduled_post_id=post_id),
        RefreshExpiringTokensJob(social_account_id=world.tenant.account_id, version=1),
        ScanMediaJob(media_id=media_id),
        GenerateThumbnailJob(media_id=media_id),
        DeliverWebhookJob(delivery_id=delivery_id),
        GenerateReportJob(report_id=report_id),
    ):
        async with world.engine.begin() as conn:
            await world.queue.enqueue(conn, job, context=world.stranger.context)
    await world.work()
    assert await _state(world) == before
    assert (world.network.state()["calls"], len(received(world)), len(world.clamd.state()["answers"])) == calls
    assert {row.state for row in await world.rows("SELECT state FROM pgqueue.all_jobs")} <= {"completed", "discarded"}


@pytest.mark.trap("a tenant names another tenant's ids")
async def test_a_tenant_cannot_do_anything_with_another_one_s_ids(world: World) -> None:
    post_id, media_id, _, report_id = await _things_of_the_tenant(world)
    [endpoint] = await world.rows("SELECT id FROM smm.webhook_endpoints")
    before = await _state(world)
    app, theirs, now = world.app, world.stranger.context, datetime.now(UTC)
    for attempt in (
        app.publishing.retry_publication(theirs, post_id, force=True),
        app.publishing.schedule_post(
            theirs, body="x", scheduled_at=now, account_ids=[world.stranger.account_id], media_ids=[media_id]
        ),
        app.publishing.schedule_post(theirs, body="x", scheduled_at=now, account_ids=[world.tenant.account_id]),
        app.integration.rotate_secret(theirs, endpoint.id),
        app.integration.enable_endpoint(theirs, endpoint.id),
        app.integration.replay_deliveries(theirs, endpoint.id, since=now - timedelta(days=1), until=now),
        app.integration.report_link(theirs, report_id),
        app.identity.suspend_organization(theirs, world.tenant.organization_id, reason="x"),
        app.identity.ban_user(theirs, world.tenant.owner_id, reason="x"),
    ):
        with pytest.raises(
            Exception, match=r"does not exist|not exist|no such|operator|unknown|there is no"
        ) as refused:
            await attempt
        assert "pão" not in str(refused.value)
    assert await _state(world) == before


async def _things_of_the_tenant(world: World) -> tuple[UUID, UUID, UUID, UUID]:
    """A post that waits, a file, a delivery and a report; their jobs are gone."""
    await an_endpoint(world)
    await tell(world)
    post_id = await world.schedule()
    media_id = await world.app.media.register_upload(
        world.tenant.context, filename="pão.jpg", declared_type="image/jpeg", chunks=stream(an_image())
    )
    report_id = await world.app.integration.request_report(
        world.tenant.context,
        "engagement",
        file_format="csv",
        period_start=date(2026, 11, 1),
        period_end=date(2026, 11, 2),
    )
    await world.execute("DELETE FROM pgqueue.outbox")
    [delivery] = await deliveries(world)
    return post_id, media_id, delivery.id, report_id


async def _state(world: World) -> list[str]:
    tables = ("scheduled_posts", "publish_attempts", "media", "webhook_deliveries", "webhook_endpoints", "reports")
    more = ("notifications", "post_metrics", "account_metrics", "comments", "organizations", "users", "posts")
    rows = [await world.rows(f"SELECT t::text AS line FROM smm.{table} t ORDER BY 1") for table in tables + more]
    return [row.line for of_table in rows for row in of_table]
