"""Webhooks out: signed, once for the customer whatever is lost, and never to where they must not go."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.gateways.webhooks import NotAnEndpoint
from domain.jobs import DeliverWebhookJob
from domain.models import Organization, WebhookEndpoint
from domain.schedules import SYSTEM
from domain.use_cases.integration.endpoints import InvalidEndpoint, Registered, UnknownEndpoint
from domain.use_cases.integration.outgoing import tell_endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Row

    from tests.domain.world import World

pytestmark = pytest.mark.anyio

KIND = "DeliverWebhookJob"


async def an_endpoint(world: World, path: str = "/hook", **options: Any) -> Registered:
    registered = await world.app.integration.register_endpoint(
        world.tenant.context, world.receiver.url + path, **options
    )
    world.receiver.trust(registered.secret)
    return registered


async def tell(world: World, **data: Any) -> None:
    async with world.app.units.begin(world.tenant.context) as uow:
        await tell_endpoints(uow, "post.published", data or {"post": "pão"})


async def deliveries(world: World) -> Sequence[Row[Any]]:
    return await world.rows("SELECT * FROM smm.webhook_deliveries ORDER BY id")


async def endpoint(world: World, endpoint_id: UUID) -> WebhookEndpoint:
    async with world.app.units.sessions() as session:
        return await session.get_one(WebhookEndpoint, endpoint_id)


def received(world: World) -> list[dict[str, Any]]:
    return world.receiver.state()["received"]  # type: ignore[no-any-return] # JSON


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


async def test_an_endpoint_that_fails_for_more_than_three_days_is_disabled(world: World) -> None:
    registered = await an_endpoint(world, "/failing")
    await tell(world)
    await world.work()
    assert (await endpoint(world, registered.endpoint_id)).failing_since is not None
    await world.execute("UPDATE smm.webhook_endpoints SET failing_since = now() - interval '73 hours'")
    await world.make_due()
    await world.work()
    assert (await endpoint(world, registered.endpoint_id)).status == "disabled_failing"
    assert [each.status for each in await deliveries(world)] == ["failed"]


async def test_one_success_ends_the_count_of_failing_days(world: World) -> None:
    registered = await an_endpoint(world)
    await world.execute("UPDATE smm.webhook_endpoints SET failing_since = now() - interval '73 hours'")
    await tell(world)
    await world.work()
    assert (await endpoint(world, registered.endpoint_id)).failing_since is None


async def test_the_daily_round_disables_endpoints_that_nothing_is_sent_to(world: World) -> None:
    registered = await an_endpoint(world)
    await world.execute("UPDATE smm.webhook_endpoints SET failing_since = now() - interval '73 hours'")
    for _ in range(2):
        await world.run(DeliverWebhookJob(), SYSTEM)
    assert (await endpoint(world, registered.endpoint_id)).status == "disabled_failing"
    [notice] = await world.rows("SELECT organization_id, kind FROM smm.notifications")
    assert (notice.organization_id, notice.kind) == (world.tenant.organization_id, "webhook_disabled")
    await world.app.integration.enable_endpoint(world.tenant.context, registered.endpoint_id)
    assert (await endpoint(world, registered.endpoint_id)).status == "active"


async def test_an_address_that_has_become_private_is_blocked_and_the_endpoint_disabled(world: World) -> None:
    registered = await an_endpoint(world)
    await world.execute("UPDATE smm.webhook_endpoints SET url = 'https://169.254.169.254/latest/meta-data'")
    await tell(world)
    await world.work()
    assert (await endpoint(world, registered.endpoint_id)).status == "disabled_blocked"
    assert await world.jobs(KIND) == [("discarded", 1)]


async def test_an_endpoint_may_ask_for_the_schedule_over_days(world: World) -> None:
    await an_endpoint(world, "/failing", retry_schedule="days")
    await tell(world)
    await world.work()
    assert await world.jobs(KIND) == [("waiting", 0)]
    [job] = await world.rows("SELECT extract(epoch FROM run_at - pgqueue.clock()) AS seconds FROM pgqueue.jobs")
    assert 0 < job.seconds <= 5
    await world.execute("UPDATE smm.webhook_deliveries SET attempts = 9")
    await world.make_due()
    await world.work()
    assert [state for state, _ in await world.jobs(KIND)] == ["dead"]
    assert [(each.status, each.attempts) for each in await deliveries(world)] == [("failed", 10)]


async def test_when_the_circuit_is_open_nothing_is_sent_and_no_attempt_counted(world: World) -> None:
    await an_endpoint(world, "/failing")
    for _ in range(8):
        await tell(world)
    await world.work()
    assert len(received(world)) < 8
    assert sum(each.attempts for each in await deliveries(world)) == len(received(world))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://user:word@example.com/hook",
        "https://127.0.0.2/hook",
        "https://localhost.localdomain:99999/hook",
        "https://[::1]/hook",
        "https://[::ffff:7f00:1]/hook",
        "https://0x7f000002/hook",
        "https://169.254.169.254/latest",
        "https:///hook",
        "https://exa mple.com/hook",
        "https://example.com\\@127.0.0.2/hook",
        "https://ex\u00e4mple.com/hook",
        "file:///etc/passwd",
        "//127.0.0.1/hook",
        "",
    ],
)
async def test_a_url_that_cannot_or_must_not_be_called_is_refused(world: World, url: str) -> None:
    with pytest.raises(NotAnEndpoint):
        await world.app.integration.register_endpoint(world.tenant.context, url)
    assert await world.rows("SELECT FROM smm.webhook_endpoints") == []


async def test_the_plan_limits_the_endpoints(world: World) -> None:
    await an_endpoint(world)
    with pytest.raises(InvalidEndpoint, match="allows 1"):
        await an_endpoint(world)
    async with world.app.units.sessions.begin() as session:
        (await session.get_one(Organization, world.tenant.organization_id)).plan = "pro"
    await an_endpoint(world)


async def test_endpoints_registered_at_once_do_not_exceed_the_limit(world: World) -> None:
    results = await asyncio.gather(*(an_endpoint(world) for _ in range(4)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["InvalidEndpoint"] * 3 + ["Registered"]


async def test_an_endpoint_hears_only_what_it_asked_for_and_only_of_its_own(world: World) -> None:
    with pytest.raises(InvalidEndpoint, match="unknown event type"):
        await an_endpoint(world, event_types=["post.publishd"])
    await an_endpoint(world, event_types=["report.ready"])
    await tell(world)
    async with world.app.units.begin(world.stranger.context) as uow:
        await tell_endpoints(uow, "report.ready", {})
    await world.work()
    assert received(world) == []
    assert await world.rows("SELECT FROM smm.webhook_events") == []


async def test_a_secret_is_stored_sealed(world: World) -> None:
    registered = await an_endpoint(world)
    stored = await endpoint(world, registered.endpoint_id)
    assert registered.secret not in stored.secret
    assert registered.secret not in repr(registered)


async def test_nobody_delivers_for_a_stranger(world: World) -> None:
    await an_endpoint(world)
    world.receiver.service.close()
    await tell(world)
    await world.work()
    [row] = await deliveries(world)
    await world.run(DeliverWebhookJob(delivery_id=row.id), world.stranger.context)
    assert "discarded" in [state for state, _ in await world.jobs(KIND)]
    assert (await deliveries(world))[0].attempts == row.attempts
