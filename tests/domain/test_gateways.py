from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from domain.gateways import failures
from domain.gateways.breakers import Breakers
from domain.gateways.mastodon import Mastodon
from domain.gateways.networks import Draft, Grant
from domain.gateways.waiting import requested_wait
from domain.use_cases.verdicts import VERDICTS
from pgqueue import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.standins import MastodonStandIn
    from domain.standins.faults import Kind

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def mastodon(database_url: str, anyio_backend: str) -> AsyncIterator[Mastodon]:
    breakers = Breakers(Settings(environment={}, database_url=database_url), fail_max=2)
    async with httpx.AsyncClient(trust_env=False) as http:
        yield Mastodon(http, breakers, deadline=timedelta(seconds=0.5))
    breakers.close()


@pytest.fixture
def grant(network: MastodonStandIn) -> Grant:
    return Grant(network.url, network.add_account("ana", "a-token").id, "a-token")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("drop", failures.UnknownOutcome),
        ("slow", failures.UnknownOutcome),
        ("error", failures.UnknownOutcome),
        ("rate_limit", failures.RateLimited),
        ("unauthorized", failures.AuthExpired),
        ("reject", failures.Rejected),
    ],
)
async def test_every_way_to_fail_has_its_class(
    mastodon: Mastodon, grant: Grant, network: MastodonStandIn, fault: Kind, failure: type[failures.GatewayError]
) -> None:
    network.faults.set(fault, seconds=1)
    with pytest.raises(failure):
        await mastodon.step(grant, Draft("x"), {"key": "k"})


@pytest.mark.anyio
async def test_a_refused_connection_changed_nothing(mastodon: Mastodon, grant: Grant, network: MastodonStandIn) -> None:
    network.service.close()
    with pytest.raises(failures.Transient):
        await mastodon.step(grant, Draft("x"), {"key": "k"})


@pytest.mark.anyio
async def test_a_failed_read_changed_nothing(mastodon: Mastodon, grant: Grant, network: MastodonStandIn) -> None:
    network.faults.set("error")
    with pytest.raises(failures.Transient):
        await mastodon.find(grant, Draft("x"), {}, NOW)


@pytest.mark.anyio
async def test_the_circuit_opens_for_one_host_and_shows_the_failure_that_opened_it(
    mastodon: Mastodon, grant: Grant, network: MastodonStandIn
) -> None:
    network.faults.set("error", calls=2)
    for _ in range(2):
        with pytest.raises(failures.UnknownOutcome):
            await mastodon.step(grant, Draft("x"), {"key": "k"})
    with pytest.raises(failures.CircuitOpen):
        await mastodon.step(grant, Draft("x"), {"key": "k"})
    elsewhere = Grant(grant.base_url.replace("127.0.0.1", "localhost"), grant.external_id, grant.access)
    assert (await mastodon.step(elsewhere, Draft("x"), {"key": "k"})).external_id == "1"


@pytest.mark.anyio
async def test_answers_never_open_the_circuit(mastodon: Mastodon, grant: Grant, network: MastodonStandIn) -> None:
    network.faults.set("reject", calls=3)
    for _ in range(3):
        with pytest.raises(failures.Rejected):
            await mastodon.step(grant, Draft("x"), {"key": "k"})
    assert (await mastodon.step(grant, Draft("x"), {"key": "k"})).external_id == "1"


@pytest.mark.anyio
async def test_a_listing_reads_pages_until_it_is_complete(
    mastodon: Mastodon, grant: Grant, network: MastodonStandIn
) -> None:
    account = network.account_of("a-token")
    assert account is not None
    since = NOW - timedelta(days=3650)
    network.create(account, "the wanted  one", "")
    for number in range(89):
        network.create(account, f"post {number}", "")
    finding = await mastodon.find(grant, Draft("the wanted one"), {}, since)
    assert finding.complete
    assert [post.external_id for post in finding.posts] == ["1"]
    for number in range(120):
        network.create(account, f"more {number}", "")
    assert not (await mastodon.find(grant, Draft("x"), {}, since)).complete


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-5"}, 1),
        ({"retry-after": "1e99"}, 21_600),
        ({"retry-after": "nan"}, 60),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 1),
        ({"x-ratelimit-reset": "2026-11-23T12:05:00.000Z"}, 300),
        ({"retry-after": "soon", "x-ratelimit-reset": "later"}, 60),
        ({}, 60),
    ],
)
def test_what_the_other_side_asks_for_is_read_and_bounded(headers: dict[str, str], seconds: float) -> None:
    assert requested_wait(headers, NOW) == timedelta(seconds=seconds)


@pytest.mark.trap("a permanent error is retried")
def test_every_failure_has_a_verdict() -> None:
    abstract = {failures.GatewayError, failures.Postponed}
    every = {
        found
        for found in vars(failures).values()
        if isinstance(found, type) and issubclass(found, failures.GatewayError)
    }
    assert set(VERDICTS) == every - abstract
