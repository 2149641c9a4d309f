"""The storage gateway: a directory, and S3 spoken to a server that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.gateways.breakers import Breakers
from domain.gateways.failures import GatewayError, Rejected, Transient
from domain.gateways.storage import LinkSigner, Storage, local_store, s3_store
from pgqueue import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MIB = 1 << 20
SIGNER = LinkSigner("http://127.0.0.1:8000/", b"a key for the tests")

pytestmark = pytest.mark.anyio


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(
        *local_store(tmp_path / "objects"), Breakers(Settings(environment={})), SIGNER, deadline=timedelta(seconds=20)
    )


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _files(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


async def test_a_stream_is_read_back_as_it_was_written(storage: Storage) -> None:
    parts = [os.urandom(MIB) for _ in range(12)]
    stored = await storage.write("media/a", _chunks(*parts), at_most=12 * MIB)
    content = b"".join(parts)
    assert (stored.size, stored.sha256) == (12 * MIB, sha256(content).digest())
    assert await storage.load("media/a", at_most=12 * MIB) == content


@pytest.mark.trap("a file is exchanged after its scan")
async def test_an_object_is_never_overwritten(storage: Storage, tmp_path: Path) -> None:
    assert await storage.put("media/a", b"first")
    assert not await storage.put("media/a", b"second")
    with pytest.raises(Rejected) as refused:
        await storage.write("media/a", _chunks(b"third"), at_most=10)
    assert refused.value.code == "object_exists"
    assert await storage.load("media/a", at_most=10) == b"first"
    assert _files(tmp_path) == ["a"]


async def test_too_long_a_stream_leaves_nothing_behind(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        await storage.write("media/a", _chunks(b"12345", b"6"), at_most=5)
    assert refused.value.code == "too_large"
    assert _files(tmp_path) == []


async def test_a_stream_that_breaks_off_leaves_nothing_behind(storage: Storage, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1" * 100
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await storage.write("media/a", broken(), at_most=1000)
    assert _files(tmp_path) == []


async def test_what_is_not_there_is_told_and_deleting_it_is_no_error(storage: Storage) -> None:
    with pytest.raises(Rejected) as missing:
        await storage.size("media/a")
    assert missing.value.code == "object_missing"
    await storage.delete("media/a")


async def test_a_copy_that_was_made_before_is_no_error(storage: Storage) -> None:
    await storage.put("media/a", b"x")
    await storage.copy("media/a", "quarantine/a")
    await storage.copy("media/a", "quarantine/a")
    await storage.delete("media/a")
    assert await storage.size("quarantine/a") == 1


@pytest.mark.parametrize("key", ["../a", "a/../../b", "a//b", "a/\x00b", ""])
async def test_no_key_leaves_the_directory(storage: Storage, tmp_path: Path, key: str) -> None:
    with pytest.raises(GatewayError):
        await storage.put(key, b"x")
    with pytest.raises(GatewayError):
        await storage.delete(key)
    assert _files(tmp_path) == []


async def test_a_link_opens_one_object_until_its_end(storage: Storage) -> None:
    link = urlsplit(await storage.link("reports/é a.pdf", now=NOW, lasts=timedelta(hours=1)))
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert link.path == "/files/reports/%C3%A9%20a.pdf"
    assert SIGNER.allows("reports/é a.pdf", now=NOW, **query)
    assert not SIGNER.allows("reports/b.pdf", now=NOW, **query)
    assert not SIGNER.allows("reports/é a.pdf", now=NOW + timedelta(hours=1), **query)
    later = {**query, "expires": str(int(query["expires"]) + 3600)}
    assert not SIGNER.allows("reports/é a.pdf", now=NOW, **later)
    for strange in ("", "x", "-1", "9" * 400, "١٢"):
        assert not SIGNER.allows("reports/é a.pdf", now=NOW, expires=strange, signature=query["signature"])
    assert not SIGNER.allows("reports/é a.pdf", now=NOW, expires=query["expires"], signature="é")


async def test_an_s3_that_is_away_is_a_transient_failure_and_signs_links_without_being_asked() -> None:
    store, place = s3_store(
        "b",
        region="us-east-1",
        endpoint="http://127.0.0.1:9",
        access_key="a",
        secret_key="s",
        deadline=timedelta(seconds=1),
    )
    storage = Storage(store, place, Breakers(Settings(environment={})), SIGNER, deadline=timedelta(seconds=5))
    with pytest.raises(Transient):
        await storage.put("a", b"x")
    assert "X-Amz-Signature=" in await storage.link("a", now=NOW, lasts=timedelta(minutes=5))


def test_a_process_that_ends_right_after_a_call_is_not_aborted(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from domain.gateways.breakers import Breakers
from domain.gateways.storage import LinkSigner, Storage, local_store
from pgqueue import Settings

async def main():
    signer = LinkSigner("", b"")
    breakers = Breakers(Settings(environment={}))
    storage = Storage(*local_store(Path(sys.argv[1])), breakers, signer, deadline=timedelta(seconds=20))
    await storage.put("a", b"x")
    await storage.load("a", at_most=1)

asyncio.run(main())
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
