"""Webhooks out: signed, once for the customer whatever is lost, and never to where they must not go."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from domain.jobs import DeliverWebhookJob
from domain.use_cases.integration.endpoints import UnknownEndpoint
from tests.domain.endpoints import KIND, an_endpoint, deliveries, endpoint, received, tell

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


async def test_the_receiver_verifies_what_it_gets(world: World) -> None:
    await an_endpoint(world)
    await tell(world)
    await world.work()
    [got] = received(world)
    assert got["verified"] == [0]
    assert json.loads(got["body"])["data"] == {"post": "pão"}
    assert got["id"].startswith("msg_")
    assert "." not in got["id"]
    [row] = await deliveries(world)
    assert (row.status, row.attempts, row.last_http_status) == ("delivered", 1, 200)


async def test_endpoints_hear_how_publications_end(world: World) -> None:
    await an_endpoint(world)
    post_id = await world.schedule()
    await world.work()
    world.network.faults.set("reject")
    await world.schedule("refused")
    await world.work()
    told = [json.loads(each["body"]) for each in received(world)]
    assert [each["type"] for each in told] == ["post.published", "post.failed"]
    permalink = (await world.post(post_id)).permalink
    assert told[0]["data"] == {"scheduled_post_id": str(post_id), "permalink": permalink}


@pytest.mark.trap("the body is written anew and its signature is wrong")
async def test_a_second_attempt_sends_the_same_bytes_and_id_with_a_good_signature(world: World) -> None:
    await an_endpoint(world)
    world.receiver.faults.set("error", calls=2)
    await tell(world)
    await world.exhaust()
    got = received(world)
    assert len(got) == 3
    assert len({(each["id"], each["body"]) for each in got}) == 1
    assert [each["verified"] for each in got] == [[0]] * 3
    assert await world.jobs(KIND) == [("completed", 3)]
    [row] = await deliveries(world)
    assert (row.status, row.attempts) == ("delivered", 3)


@pytest.mark.trap("a retry has a new id")
async def test_a_lost_answer_repeats_under_the_same_id(world: World) -> None:
    await an_endpoint(world)
    world.receiver.faults.set("drop")
    await tell(world)
    await world.exhaust()
    assert len({each["id"] for each in received(world)}) == 1
    assert [row.status for row in await deliveries(world)] == ["delivered"]


async def test_during_a_rotation_both_secrets_verify_and_then_the_new_one_alone(world: World) -> None:
    old = await an_endpoint(world)
    new = await world.app.integration.rotate_secret(world.tenant.context, old.endpoint_id)
    world.receiver.trust(old.secret, new.secret)
    await tell(world)
    await world.work()
    await world.execute("UPDATE smm.webhook_endpoints SET previous_secret_until = now()")
    await tell(world)
    await world.work()
    assert [each["verified"] for each in received(world)] == [[0, 1], [1]]


async def test_running_a_delivery_twice_delivers_once(world: World) -> None:
    await an_endpoint(world)
    await tell(world)
    await world.work()
    [before] = await deliveries(world)
    await world.run(DeliverWebhookJob(delivery_id=before.id))
    assert len(received(world)) == 1
    assert await deliveries(world) == [before]
    assert await world.jobs(KIND) == [("completed", 1)] * 2


async def test_after_four_attempts_the_delivery_has_failed_and_a_requeued_job_delivers(world: World) -> None:
    await an_endpoint(world)
    world.receiver.faults.set("error", calls=4)
    await tell(world)
    await world.exhaust()
    assert await world.jobs(KIND) == [("dead", 4)]
    [row] = await deliveries(world)
    assert (row.status, row.last_http_status) == ("failed", 500)
    await world.requeue(KIND)
    assert [each.status for each in await deliveries(world)] == ["delivered"]


async def test_failed_deliveries_are_replayed_and_others_are_not(world: World) -> None:
    registered = await an_endpoint(world)
    world.receiver.faults.set("error", calls=4)
    await tell(world)
    await world.exhaust()
    await tell(world)
    await world.work()
    now = datetime.now(UTC)
    replay = world.app.integration.replay_deliveries
    when = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    assert await replay(world.tenant.context, registered.endpoint_id, **when) == 1
    assert await replay(world.tenant.context, registered.endpoint_id, **when) == 0
    await world.work()
    assert [(each.status, each.replay_no) for each in await deliveries(world)] == [("delivered", 1), ("delivered", 0)]
    ids = [each["id"] for each in received(world)]
    assert ids[0] == ids[-1]
    with pytest.raises(UnknownEndpoint):
        await replay(world.stranger.context, registered.endpoint_id, **when)


async def test_an_endpoint_that_is_gone_is_not_called_again(world: World) -> None:
    registered = await an_endpoint(world, "/gone")
    await tell(world)
    await tell(world)
    await world.work()
    assert (await endpoint(world, registered.endpoint_id)).status == "disabled_gone"
    assert len(received(world)) in (1, 2)
    await tell(world)
    await world.exhaust()
    assert len(received(world)) in (1, 2)
    assert {each.status for each in await deliveries(world)} <= {"failed", "skipped"}
    assert {state for state, _ in await world.jobs(KIND)} <= {"discarded", "completed"}
    kinds = await world.rows("SELECT kind FROM smm.notifications")
    assert [row.kind for row in kinds] == ["webhook_disabled"]


@pytest.mark.trap("a redirect leads inside")
async def test_a_redirect_is_not_followed(world: World) -> None:
    await an_endpoint(world, "/moved")
    await tell(world)
    await world.work()
    assert [each["path"] for each in received(world)] == ["/moved"]
    assert await world.jobs(KIND) == [("waiting", 1)]


async def test_a_busy_endpoint_says_when_and_no_attempt_is_spent(world: World) -> None:
    await an_endpoint(world, "/busy")
    await tell(world)
    await world.work()
    assert await world.jobs(KIND) == [("waiting", 0)]
    [job] = await world.rows("SELECT extract(epoch FROM run_at - pgqueue.clock()) AS seconds FROM pgqueue.jobs")
    assert 0 < job.seconds <= 7


@pytest.mark.trap("a slow receiver holds all workers")
@pytest.mark.parametrize(("path", "status"), [("/drip", None), ("/flood", 200)])
async def test_a_receiver_that_never_ends_its_answer_does_not_hold_us(
    world: World, path: str, status: int | None
) -> None:
    await an_endpoint(world, path)
    await tell(world)
    await world.work()
    [row] = await deliveries(world)
    assert row.last_http_status == status
    assert row.duration_ms < 5_000
    assert len(row.response_excerpt or "") <= 500


@pytest.mark.trap("a slow receiver holds all workers")
async def test_no_more_than_two_deliveries_to_an_endpoint_are_under_way(world: World) -> None:
    registered = await an_endpoint(world)
    locks = [world.queue.lock(f"webhook:{registered.endpoint_id}:{place}", ttl="30s") for place in range(2)]
    for lock in locks:
        assert await lock.acquire()
    await tell(world)
    await world.work()
    assert received(world) == []
    assert await world.jobs(KIND) == [("waiting", 0)]
    await locks[0].release()
    await world.make_due()
    await world.work()
    assert len(received(world)) == 1
