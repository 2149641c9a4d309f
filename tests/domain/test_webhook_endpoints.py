"""Endpoints: which are disabled, refused or left alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from domain.gateways.webhooks import NotAnEndpoint
from domain.jobs import DeliverWebhookJob
from domain.models import Organization
from domain.system import SYSTEM
from domain.use_cases.integration.endpoints import InvalidEndpoint
from domain.use_cases.integration.outgoing import tell_endpoints
from tests.domain.endpoints import KIND, an_endpoint, deliveries, endpoint, received, tell

if TYPE_CHECKING:
    from tests.domain.world import World


pytestmark = pytest.mark.anyio


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


@pytest.mark.trap("a name answers well to the check and badly to the connection")
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


@pytest.mark.trap("an address inside, in any spelling")
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
        "file:" + "///etc/passwd",
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
