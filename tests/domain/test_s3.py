"""The storage gateway against an S3 over HTTP: signed requests, parts, streams, links, and what goes wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx
import obstore
import pytest

from domain.gateways.breakers import Breakers
from domain.gateways.failures import AuthExpired, CircuitOpen, Rejected, Transient
from domain.gateways.storage import LinkSigner, Storage, s3_store
from domain.standins import S3StandIn
from domain.standins.faults import FOR_EVER
from pgqueue import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from domain.standins.faults import Kind

MIB = 1 << 20
SIGNER = LinkSigner("http://127.0.0.1:8000/", b"a key for the tests")

pytestmark = pytest.mark.anyio


@pytest.fixture
def s3() -> Iterator[S3StandIn]:
    with S3StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def storage(s3: S3StandIn) -> Storage:
    return opened(s3)


def opened(
    s3: S3StandIn, *, secret: str | None = None, bucket: str | None = None, deadline: timedelta = timedelta(seconds=20)
) -> Storage:
    store, place = s3_store(
        bucket or s3.bucket,
        region=s3.region,
        endpoint=s3.url,
        access_key=s3.access_key,
        secret_key=secret or s3.secret_key,
        deadline=deadline,
    )
    return Storage(store, place, Breakers(Settings(environment={}), fail_max=3), SIGNER, deadline=deadline)


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_large_stream_goes_up_in_parts_and_comes_down_in_chunks(s3: S3StandIn, storage: Storage) -> None:
    parts = [os.urandom(MIB) for _ in range(12)]
    content = b"".join(parts)
    stored = await storage.write("media/pão é (1).jpg", _chunks(*parts), at_most=12 * MIB)
    assert (stored.size, stored.sha256) == (12 * MIB, sha256(content).digest())
    state = s3.state()
    assert state["objects"] == {"media/pão é (1).jpg": 12 * MIB}  # and nothing is left of the staging
    assert state["uploads"] == 0
    read = [chunk async for chunk in storage.read("media/pão é (1).jpg")]
    assert b"".join(read) == content
    assert len(read) > 1


async def test_a_part_of_an_object_can_be_read(storage: Storage) -> None:
    await storage.put("a", bytes(range(100)))
    assert bytes(obstore.get_range(storage._store, "a", start=10, length=5)) == bytes(range(10, 15))
    assert [each["path"] for each in obstore.list(storage._store).collect()] == ["a"]


async def test_an_object_is_never_overwritten(s3: S3StandIn, storage: Storage) -> None:
    assert await storage.put("media/a", b"first")
    assert not await storage.put("media/a", b"second")
    with pytest.raises(Rejected) as refused:
        await storage.write("media/a", _chunks(b"third"), at_most=10)
    assert refused.value.code == "object_exists"
    assert await storage.load("media/a", at_most=10) == b"first"
    assert s3.state()["objects"] == {"media/a": 5}


async def test_too_long_a_stream_leaves_nothing_behind(s3: S3StandIn, storage: Storage) -> None:
    with pytest.raises(Rejected) as refused:
        await storage.write("media/a", _chunks(b"12345", b"6"), at_most=5)
    assert refused.value.code == "too_large"
    assert s3.state()["objects"] == {}


async def test_what_is_not_there_is_told_and_deleting_it_is_no_error(storage: Storage) -> None:
    with pytest.raises(Rejected) as missing:
        await storage.size("media/a")
    assert missing.value.code == "object_missing"
    with pytest.raises(Rejected):
        await storage.load("media/a", at_most=10)
    await storage.delete("media/a")


async def test_a_copy_that_was_made_before_is_no_error(s3: S3StandIn, storage: Storage) -> None:
    await storage.put("media/a", b"x")
    await storage.copy("media/a", "quarantine/a")
    await storage.copy("media/a", "quarantine/a")
    await storage.delete("media/a")
    assert s3.state()["objects"] == {"quarantine/a": 1}


async def test_a_link_opens_one_object_for_anybody_until_its_end(s3: S3StandIn, storage: Storage) -> None:
    await storage.put("reports/é a.pdf", b"%PDF")
    await storage.put("reports/b.pdf", b"%PDF-b")
    link = await storage.link("reports/é a.pdf", now=datetime.now(UTC), lasts=timedelta(hours=1))
    async with httpx.AsyncClient(trust_env=False) as anybody:
        assert (await anybody.get(link)).content == b"%PDF"
        assert (await anybody.get(link, headers={"Range": "bytes=1-2"})).content == b"PD"
        for forged in (
            link.replace("%C3%A9%20a", "b"),
            link.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
            link[:-1] + ("0" if link[-1] != "0" else "1"),
            link.partition("?")[0],
        ):
            assert (await anybody.get(forged)).status_code == 403
        assert (await anybody.delete(link)).status_code == 403
        s3.ahead = timedelta(hours=1, minutes=1)
        assert (await anybody.get(link)).status_code == 403
    assert len(s3.state()["objects"]) == 2


async def test_whoever_has_the_wrong_secret_or_bucket_is_refused(s3: S3StandIn, storage: Storage) -> None:
    await storage.put("a", b"x")
    thief = opened(s3, secret="a guess")
    with pytest.raises(AuthExpired):
        await thief.put("b", b"y")
    with pytest.raises(AuthExpired):
        await thief.load("a", at_most=10)
    with pytest.raises((Rejected, Transient)):
        await opened(s3, bucket="another").load("a", at_most=10)
    assert s3.state()["objects"] == {"a": 1}


async def test_a_clock_that_is_wrong_is_refused(s3: S3StandIn, storage: Storage) -> None:
    s3.ahead = timedelta(hours=2)
    with pytest.raises(AuthExpired):
        await storage.put("a", b"x")


@pytest.mark.parametrize("kind", ["error", "rate_limit", "drop"])
async def test_one_bad_answer_is_made_good_by_asking_again(s3: S3StandIn, storage: Storage, kind: Kind) -> None:
    await storage.put("a", b"x")
    s3.faults.set(kind)
    assert await storage.load("a", at_most=10) == b"x"


@pytest.mark.parametrize("kind", ["error", "drip", "slow"])
async def test_a_store_that_does_not_come_to_itself_is_a_transient_failure_in_time(s3: S3StandIn, kind: Kind) -> None:
    storage = opened(s3, deadline=timedelta(seconds=0.5))
    s3.faults.set(kind, calls=FOR_EVER, seconds=5)
    began = datetime.now(UTC)
    with pytest.raises(Transient):
        await storage.size("a")
    assert datetime.now(UTC) - began < timedelta(seconds=5)


async def test_an_answer_that_makes_no_sense_stores_nothing(s3: S3StandIn, storage: Storage) -> None:
    s3.faults.set("garbage", calls=FOR_EVER, path="/media/a")
    with pytest.raises(Transient):
        await storage.write("media/a", _chunks(b"x"), at_most=10)
    assert "media/a" not in s3.state()["objects"]


async def test_a_store_that_fails_again_and_again_is_left_alone(s3: S3StandIn) -> None:
    storage = opened(s3, deadline=timedelta(seconds=0.5))
    s3.service.close()
    for _ in range(3):
        with pytest.raises(Transient):
            await storage.size("a")
    with pytest.raises(CircuitOpen):
        await storage.size("a")
