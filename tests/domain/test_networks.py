"""Every network, every way to lose an answer: one post."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.domain.networks import OnNetwork, every, work_on

pytestmark = pytest.mark.anyio


@every
async def test_a_post_appears_once_on_every_network(on: OnNetwork) -> None:
    post_id = await on.schedule("Pão quente às 7h #padaria")
    await work_on(on)
    post = await on.world.post(post_id)
    assert (post.status, post.failure_code) == ("published", None)
    assert post.external_id
    assert post.permalink
    assert on.texts() == ["Pão quente às 7h #padaria"]
    assert await on.world.jobs() == [("completed", 1)]
    [used] = await on.world.rows("SELECT metric, source_id, quantity FROM smm.usage_events")
    assert tuple(used) == ("posts_published", post_id, 1)


@pytest.mark.trap("the reply of the network is lost")
@every
@pytest.mark.parametrize("fault", ["drop", "slow", "drip", "garbage"])
async def test_a_lost_answer_leads_to_one_post_on_every_network(on: OnNetwork, fault: str) -> None:
    on.spoil(fault)
    post_id = await on.schedule()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]


@every
async def test_an_error_before_anything_was_done_leads_to_one_post(on: OnNetwork) -> None:
    on.spoil("error")
    post_id = await on.schedule()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]


@pytest.mark.trap("the reply of the network is lost")
@every
async def test_a_crash_after_the_call_leads_to_one_post(on: OnNetwork) -> None:
    on.spoil("drop")
    post_id = await on.schedule()
    await work_on(on, rounds=3 if on.provider == "instagram" else 1)
    assert on.texts() == ["olá"]
    assert ("publish", "unknown") in await on.world.attempts(post_id)
    # as a worker leaves it that was killed before it could write anything down
    await on.world.execute(
        "UPDATE smm.publish_attempts SET outcome = NULL, finished_at = NULL WHERE outcome = 'unknown'"
    )
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]


@pytest.mark.trap("an outage ends and a day's posts of an account go out at once")
@every
async def test_a_limit_spends_no_attempt_and_is_remembered_for_the_account(on: OnNetwork) -> None:
    on.network.faults.set("rate_limit", seconds=90)
    first = await on.schedule("first")
    await on.world.work()
    calls = len(on.network.state()["calls"]) if on.provider != "mastodon" else 0
    second = await on.schedule("second")
    await on.world.work()
    if on.provider != "mastodon":
        assert len(on.network.state()["calls"]) == calls  # the second one did not even call
    assert await on.world.attempts(second) == []
    waiting = await on.world.rows("SELECT attempt, run_at - pgqueue.clock() AS wait FROM pgqueue.jobs")
    assert [row.attempt for row in waiting] == [0, 0]
    assert all(timedelta(seconds=60) < row.wait <= timedelta(seconds=110) for row in waiting)
    await work_on(on)
    assert {(await on.world.post(post_id)).status for post_id in (first, second)} == {"published"}
    assert await on.world.jobs() == [("completed", 1), ("completed", 1)]


@pytest.mark.trap("a permanent error is retried")
@every
async def test_a_refusal_fails_the_post_and_is_no_dead_letter(on: OnNetwork) -> None:
    on.spoil("reject")
    post_id = await on.schedule()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "failed"
    assert on.texts() == []
    assert {state for state, _ in await on.world.jobs()} == {"discarded"}
