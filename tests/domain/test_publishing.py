"""One post, one network, once: with everything between them going wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.models import IllegalTransition
from domain.standins.faults import FOR_EVER

if TYPE_CHECKING:
    from uuid import UUID

    from domain.standins.faults import Kind
    from tests.domain.world import World

pytestmark = pytest.mark.anyio


async def test_a_scheduled_post_is_published_and_its_audience_is_told(world: World) -> None:
    post_id = await world.schedule("Pão quente às 7h\n\n& café")
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.external_id) == ("published", "1")
    assert post.permalink == f"{world.network.url}/@aurora/1"
    assert world.texts() == ["Pão quente às 7h\n\n& café"]
    assert await world.attempts(post_id) == [("publish", "ok")]
    notices = await world.rows("SELECT user_id, kind FROM smm.notifications")
    assert {notice.user_id for notice in notices} == {world.tenant.owner_id, world.tenant.author_id}
    assert world.mail.state()["messages"] == []


async def test_a_lost_reply_leads_to_one_post(world: World) -> None:
    world.network.faults.set("drop")
    post_id = await world.schedule()
    await world.work()
    assert (await world.post(post_id)).status == "publishing"
    assert await world.attempts(post_id) == [("publish", "unknown")]
    await world.make_due()
    await world.work()
    assert (await world.post(post_id)).status == "published"
    assert world.texts() == ["olá"]
    assert world.network.state()["replays"] == 1
    assert await world.jobs() == [("completed", 2)]


@pytest.mark.trap("a new idempotency key on each attempt")
@pytest.mark.parametrize("fault", ["drop", "error", "slow"])
async def test_the_key_is_the_same_on_every_attempt(world: World, fault: Kind) -> None:
    world.network.faults.set(fault, calls=2, seconds=1.2)
    post_id = await world.schedule()
    for _ in range(3):
        await world.make_due()
        await world.work()
    calls = world.network.state()["spoiled"]
    key = str((await world.post(post_id)).publish_key)
    assert [call["key"] for call in calls] == [key, key]
    assert [status["key"] for status in world.network.state()["statuses"]] == [key]


async def test_a_crash_between_call_and_record_is_an_attempt_without_outcome_and_one_post(world: World) -> None:
    post_id = await world.schedule()
    await world.work()
    # as a worker leaves it that was killed after the network stored the post
    await world.execute("UPDATE smm.scheduled_posts SET status = 'publishing', external_id = NULL, published_at = NULL")
    await world.execute("UPDATE smm.publish_attempts SET outcome = NULL, finished_at = NULL")
    await world.execute("UPDATE smm.publish_attempts SET started_at = started_at - interval '3 minutes'")
    await world.execute("DELETE FROM smm.usage_events")
    await world.execute("UPDATE smm.scheduled_posts SET status = 'unconfirmed'")
    await world.app.publishing.retry_publication(world.tenant.context, post_id)
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.external_id) == ("published", "1")
    assert world.texts() == ["olá"]


async def test_a_rate_limit_snoozes_and_spends_no_attempt(world: World) -> None:
    world.network.faults.set("rate_limit", seconds=90)
    post_id = await world.schedule()
    await world.work()
    [waiting] = await world.rows("SELECT state, run_at - pgqueue.clock() AS wait FROM pgqueue.all_jobs")
    assert waiting.state == "waiting"
    assert timedelta(seconds=60) < waiting.wait <= timedelta(seconds=99)
    await world.make_due()
    await world.work()
    assert (await world.post(post_id)).status == "published"
    assert await world.jobs() == [("completed", 1)]
    assert await world.attempts(post_id) == [("publish", "rate_limited"), ("publish", "ok")]


@pytest.mark.trap("the dead letters are full of users' mistakes")
async def test_a_refused_post_fails_and_is_no_dead_letter(world: World) -> None:
    world.network.faults.set("reject")
    post_id = await world.schedule("spam")
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "http_422")
    assert await world.jobs() == [("discarded", 1)]
    assert world.texts() == []
    told = world.mail.state()["messages"]
    assert sorted(message["to"][0] for message in told) == ["author@aurora.example", "owner@aurora.example"]
    assert all("Text is not welcome" in message["text"] for message in told)


async def test_a_dead_grant_marks_the_account_and_fails_the_post(world: World) -> None:
    world.network.faults.set("unauthorized")
    post_id = await world.schedule()
    await world.work()
    assert (await world.post(post_id)).failure_code == "http_401"
    assert (await world.account()).status == "needs_reauth"
    assert await world.jobs() == [("discarded", 1)]


async def test_an_unreachable_network_costs_attempts_and_then_the_post_has_truly_failed(world: World) -> None:
    post_id = await world.schedule()
    world.network.service.close()
    for _ in range(3):
        await world.make_due()
        await world.work()
    post = await world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "dead_letter")
    assert await world.jobs() == [("dead", 3)]
    assert await world.attempts(post_id) == [("publish", "transient")] * 3


async def test_after_the_last_attempt_a_post_that_may_be_online_is_unconfirmed_and_a_requeue_finds_out(
    world: World,
) -> None:
    world.network.faults.set("drop", calls=FOR_EVER)
    post_id = await world.schedule()
    for _ in range(3):
        await world.make_due()
        await world.work()
    assert (await world.post(post_id)).status == "unconfirmed"
    [dead] = await world.rows("SELECT id FROM pgqueue.dead_jobs")
    world.network.faults.clear()
    async with world.engine.begin() as conn:
        assert await world.queue.requeue(conn, [dead.id], by="ana") == [dead.id]
    await world.work()
    assert (await world.post(post_id)).status == "published"
    assert world.texts() == ["olá"]


@pytest.mark.trap("the network has forgotten the key")
async def test_when_the_key_is_forgotten_the_account_s_list_tells_that_the_post_is_online(world: World) -> None:
    post_id = await _lost_an_hour_ago(world)
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.external_id) == ("published", "1")
    assert world.texts() == ["olá"]
    assert await world.attempts(post_id) == [("publish", "unknown"), ("reconcile", "ok")]


async def test_when_the_key_is_forgotten_and_the_list_does_not_hold_the_post_it_is_published(world: World) -> None:
    world.network.faults.set("error")
    post_id = await world.schedule()
    await world.work()
    await _let_an_hour_pass(world)
    await world.work()
    assert (await world.post(post_id)).status == "published"
    assert world.texts() == ["olá"]
    assert await world.attempts(post_id) == [("publish", "transient"), ("reconcile", "ok"), ("publish", "ok")]


@pytest.mark.trap("nobody can tell whether the post is online")
async def test_when_nobody_can_tell_the_post_is_unconfirmed_and_people_are_asked(world: World) -> None:
    world.network.faults.set("error")
    post_id = await world.schedule()
    await world.work()
    account = world.network.account_of("a-token-nobody-may-see-aurora")
    assert account is not None
    for number in range(201):  # more than we are willing to read
        world.network.create(account, f"by hand {number}", "")
    await _let_an_hour_pass(world)
    await world.work()
    assert (await world.post(post_id)).status == "unconfirmed"
    assert len(world.texts()) == 201
    assert {message["subject"] for message in world.mail.state()["messages"]} == {"Confira se o seu post está no ar"}
    await world.app.publishing.retry_publication(world.tenant.context, post_id, force=True)
    await world.work()
    assert (await world.post(post_id)).status == "published"
    assert len(world.texts()) == 202


async def test_the_same_text_posted_twice_on_purpose_is_not_mistaken_for_a_lost_one(world: World) -> None:
    first = await world.schedule("bom dia")
    await world.work()
    world.network.faults.set("error")
    second = await world.schedule("bom dia")
    await world.work()
    await _let_an_hour_pass(world)
    await world.work()
    assert [(await world.post(post_id)).external_id for post_id in (first, second)] == ["1", "2"]


@pytest.mark.trap('the button "retry" is pressed twice')
async def test_a_second_press_on_retry_is_refused(world: World) -> None:
    world.network.faults.set("reject")
    post_id = await world.schedule()
    await world.work()
    await world.app.publishing.retry_publication(world.tenant.context, post_id)
    with pytest.raises(IllegalTransition):
        await world.app.publishing.retry_publication(world.tenant.context, post_id)
    await world.work()
    assert (await world.post(post_id)).status == "published"


@pytest.mark.trap("the post was edited or moved after its job was enqueued")
async def test_an_edited_schedule_makes_the_old_job_a_no_op(world: World) -> None:
    post_id = await world.schedule()
    await world.execute("UPDATE smm.scheduled_posts SET schedule_version = 2")
    await world.work()
    assert (await world.post(post_id)).status == "dispatched"
    assert await world.jobs() == [("completed", 1)]
    assert world.texts() == []


@pytest.mark.trap("an outage ends and a day's posts of an account go out at once")
async def test_a_post_that_is_a_day_late_is_missed(world: World) -> None:
    post_id = await world.schedule(when=datetime.now(UTC) - timedelta(hours=25))
    await world.work()
    assert (await world.post(post_id)).status == "missed"
    assert world.texts() == []


@pytest.mark.trap("a suspension races with a publication")
async def test_a_suspended_organization_publishes_nothing(world: World) -> None:
    post_id = await world.schedule()
    await world.execute(
        "UPDATE smm.organizations SET status = 'suspended', suspended_at = now(), suspension_id = gen_random_uuid()"
    )
    await world.work()
    post = await world.post(post_id)
    assert (post.status, post.paused_from, post.failure_code) == ("paused", "dispatched", None)
    assert world.texts() == []


async def test_a_job_of_another_organization_touches_nothing(world: World) -> None:
    post_id = await world.schedule()
    await world.execute("UPDATE pgqueue.outbox SET organization_id = :other", other=str(world.stranger.organization_id))
    await world.work()
    assert (await world.post(post_id)).status == "dispatched"
    assert world.texts() == []


async def test_an_open_circuit_sends_nothing_and_spends_no_attempt(world: World) -> None:
    world.network.faults.set("error", calls=6)
    for number in range(6):
        await world.schedule(f"post {number}")
    await world.work()
    await world.schedule("after the outage began")
    calls = world.network.state()["calls"]
    await world.work()
    assert world.network.state()["calls"] == calls
    assert (await world.jobs())[-1] == ("waiting", 0)


async def _let_an_hour_pass(world: World) -> None:
    """For our row and for the network's memory of keys."""
    world.network.forget_keys()
    await world.execute("UPDATE smm.publish_attempts SET started_at = started_at - interval '56 minutes'")
    await world.make_due()


async def _lost_an_hour_ago(world: World) -> UUID:
    world.network.faults.set("drop")
    post_id = await world.schedule()
    await world.work()
    await _let_an_hour_pass(world)
    return post_id
