"""Uploads: what may be used, what may not, and that nobody is harmed by finding out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from PIL import Image

from domain.jobs import GenerateThumbnailJob, ScanMediaJob
from domain.models import Media
from domain.standins.clamd import EICAR, VERSION
from domain.standins.faults import FOR_EVER
from domain.system import SYSTEM
from domain.use_cases.media.uploading import InvalidUpload
from tests.domain import files

if TYPE_CHECKING:
    from uuid import UUID

    from tests.domain.world import World

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def _upload(world: World, content: bytes, declared: str = "image/jpeg") -> UUID:
    return await world.app.media.register_upload(
        world.tenant.context, filename="pão.jpg", declared_type=declared, chunks=files.stream(content)
    )


async def _media(world: World, media_id: UUID) -> Media:
    async with world.app.units.sessions() as session:
        return await session.get_one(Media, media_id)


async def _thumbnail(world: World, row: Media) -> Image.Image:
    content = await world.app.storage.load(row.thumbnail_key or "", at_most=1 << 20)
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("content", "detected"),
    [
        (files.an_image("JPEG"), "image/jpeg"),
        (files.an_image("PNG"), "image/png"),
        (files.an_image("WEBP"), "image/webp"),
        (files.an_image("GIF"), "image/gif"),
        (files.a_video(), "video/mp4"),
    ],
    ids=["jpeg", "png", "webp", "gif", "mp4"],
)
async def test_an_upload_is_scanned_and_made_small(world: World, content: bytes, detected: str) -> None:
    media_id = await _upload(world, content, "application/octet-stream")
    await world.work()
    row = await _media(world, media_id)
    assert (row.scan_status, row.detected_type, row.scan_engine) == ("clean", detected, VERSION)
    assert (row.thumbnail_status, row.byte_size) == ("ready", len(content))
    small = await _thumbnail(world, row)
    assert small.format == "WEBP"
    assert max(small.size) == 640
    assert (row.duration_ms is not None) == (detected == "video/mp4")


@pytest.mark.trap("the place where a picture was taken leaks")
async def test_a_small_picture_is_upright_and_tells_no_place(world: World) -> None:
    media_id = await _upload(world, files.an_image(size=(1200, 800), turned=True))
    await world.work()
    row = await _media(world, media_id)
    small = await _thumbnail(world, row)
    assert (row.width, row.height) == (800, 1200)
    assert small.size == (427, 640)
    assert not dict(small.getexif())
    assert "exif" not in small.info


@pytest.mark.trap("an infected file")
@pytest.mark.parametrize(
    "content",
    [EICAR, files.an_image() + EICAR, files.a_video() + EICAR],
    ids=["alone", "after an image", "after a video"],
)
async def test_an_infected_file_goes_into_quarantine(world: World, content: bytes) -> None:
    media_id = await _upload(world, content)
    before = await _media(world, media_id)
    await world.work()
    row = await _media(world, media_id)
    assert (row.scan_status, row.scan_detail) == ("infected", "Eicar-Test-Signature")
    assert row.storage_key.startswith("quarantine/")
    assert await world.app.storage.load(row.storage_key, at_most=1 << 20) == content
    assert [r.storage_key for r in await world.rows("SELECT storage_key FROM smm.object_tombstones")] == [
        before.storage_key
    ]
    assert await world.jobs("GenerateThumbnailJob") == []
    with pytest.raises(InvalidUpload, match="infected before"):
        await _upload(world, content)


@pytest.mark.trap("an upload that lies about its type, SVG with a script")
@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (files.SVG, "image/svg+xml"),
        (files.SVG, "image/png"),
        (files.HTML, "image/jpeg"),
        (b"MZ" + bytes(100), "video/mp4"),
        (b"\xff", "image/jpeg"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "image/jpeg"),
    ],
)
async def test_what_lies_about_its_type_is_rejected(world: World, content: bytes, declared: str) -> None:
    media_id = await _upload(world, content, declared)
    await world.work()
    row = await _media(world, media_id)
    assert (row.scan_status, row.scan_detail, row.detected_type) == ("rejected", "type", None)
    assert await world.jobs("GenerateThumbnailJob") == []


@pytest.mark.trap("the scanner is down, so the file is clean")
@pytest.mark.parametrize("fault", ["drop", "slow", "error"])
async def test_without_the_scanner_s_word_a_file_stays_pending_and_can_be_scanned_later(
    world: World, fault: str
) -> None:
    world.clamd.faults.set(fault, calls=FOR_EVER, seconds=1.5)  # type: ignore[arg-type] # one of its kinds
    media_id = await _upload(world, files.an_image())
    await world.work()
    await world.make_due()
    await world.work()
    assert (await _media(world, media_id)).scan_status == "pending"
    assert await world.jobs("ScanMediaJob") == [("dead", 2)]
    world.clamd.faults.clear()
    [dead] = await world.rows("SELECT id FROM pgqueue.dead_jobs")
    async with world.engine.begin() as conn:
        await world.queue.requeue(conn, [dead.id], by="ana")
    await world.work()
    assert (await _media(world, media_id)).scan_status == "clean"


@pytest.mark.trap("the scanner is down, so the file is clean")
async def test_a_scanner_that_is_away_is_no_clean_one(world: World) -> None:
    world.clamd.service.close()
    media_id = await _upload(world, files.an_image())
    await world.work()
    assert (await _media(world, media_id)).scan_status == "pending"
    assert (await world.jobs("ScanMediaJob"))[0][0] == "waiting"


async def test_what_the_scanner_finds_too_large_is_rejected_and_not_tried_again(world: World) -> None:
    world.clamd.max_stream = 1 << 20
    media_id = await _upload(world, files.an_image() + bytes(3 << 20))
    await world.work()
    row = await _media(world, media_id)
    assert (row.scan_status, row.scan_detail) == ("rejected", "scanner_limit")
    assert await world.jobs("ScanMediaJob") == [("completed", 1)]


async def test_a_file_that_was_exchanged_after_the_upload_is_rejected(world: World, tmp_path: Path) -> None:
    media_id = await _upload(world, files.an_image())
    row = await _media(world, media_id)
    (tmp_path / "objects" / row.storage_key).write_bytes(files.an_image(size=(10, 10)))
    await world.work()
    assert (await _media(world, media_id)).scan_detail == "changed"


async def test_a_second_scan_changes_nothing_and_asks_nobody(world: World) -> None:
    media_id = await _upload(world, files.an_image())
    await world.work()
    before = await _media(world, media_id)
    for _ in range(2):
        async with world.engine.begin() as conn:
            await world.queue.enqueue(conn, ScanMediaJob(media_id=media_id), context=world.tenant.context)
        await world.work()
    after = await _media(world, media_id)
    assert (after.scanned_at, after.thumbnail_key) == (before.scanned_at, before.thumbnail_key)
    assert len(world.clamd.state()["answers"]) == 1
    assert len(await world.jobs("GenerateThumbnailJob")) == 1


async def test_another_organization_cannot_have_a_file_scanned(world: World) -> None:
    media_id = await _upload(world, files.an_image())
    await world.execute("DELETE FROM pgqueue.outbox")
    async with world.engine.begin() as conn:
        await world.queue.enqueue(conn, ScanMediaJob(media_id=media_id), context=world.stranger.context)
    await world.work()
    assert world.clamd.state()["answers"] == []
    assert (await _media(world, media_id)).scan_status == "pending"


async def test_the_sweep_finds_files_whose_scan_was_lost(world: World) -> None:
    media_id = await _upload(world, files.an_image())
    fresh = await _upload(world, files.an_image("PNG"))
    await world.execute("DELETE FROM pgqueue.outbox")
    await world.execute("UPDATE smm.media SET created_at = now() - interval '11 minutes' WHERE id = :id", id=media_id)
    async with world.engine.begin() as conn:
        await world.queue.enqueue(conn, ScanMediaJob(), context=SYSTEM)
    await world.work()
    assert (await _media(world, media_id)).scan_status == "clean"
    assert (await _media(world, fresh)).scan_status == "pending"


@pytest.mark.trap("an image bomb")
@pytest.mark.parametrize(
    "content",
    [files.a_bomb(), files.an_image()[:600], files.a_video()[:400], b"GIF89a" + bytes(40)],
    ids=["bomb", "half an image", "half a video", "nothing behind the head"],
)
async def test_what_cannot_be_decoded_gets_no_small_picture_and_no_dead_letter(world: World, content: bytes) -> None:
    media_id = await _upload(world, content)
    await world.work()
    row = await _media(world, media_id)
    assert (row.scan_status, row.thumbnail_status) == ("clean", "failed")
    assert await world.jobs("GenerateThumbnailJob") == [("completed", 1)]


@pytest.mark.long
@pytest.mark.trap("a decoder crashes and takes the worker along")
async def test_a_decoder_that_crashes_kills_no_worker_and_the_file_says_so(world: World, tmp_path: Path) -> None:
    media_id = await _upload(world, files.an_image())
    await world.work()
    await world.execute("UPDATE smm.media SET thumbnail_status = 'none', thumbnail_key = NULL")
    await world.stop()
    environment = os.environ | {
        "PGQUEUE_DATABASE_URL": world.url,
        "SMM_FERNET_KEYS": Fernet.generate_key().decode(),
        "SMM_FINGERPRINT_KEY": "a key for the tests",
        "SMM_STORAGE_DIRECTORY": str(tmp_path / "objects"),
        "SMM_CLAMD_ADDRESS": world.clamd.url,
        "PYTHONPATH": str(ROOT),
    }
    async with world.engine.begin() as conn:
        await world.queue.enqueue(conn, GenerateThumbnailJob(media_id=media_id), context=world.tenant.context)
    other = await _upload(world, files.HTML)
    command = [sys.executable, "-m", "pgqueue", "work", "--app", "tests.domain.crashing:app"]
    for _ in range(3):
        done = subprocess.run(  # noqa: ASYNC221 - our own program
            [*command, "--queues", "media-processing", "--until-empty"],
            env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        await world.make_due()
    assert (await _media(world, media_id)).thumbnail_status == "failed"
    assert (await _media(world, other)).scan_status == "rejected"
    [dead] = await world.rows("SELECT reason FROM pgqueue.dead_jobs")
    assert dead.reason == "crashed"


async def test_an_upload_that_is_too_large_or_empty_is_refused_and_its_object_will_be_found(world: World) -> None:
    with pytest.raises(InvalidUpload, match="more than"):
        await _upload(world, bytes(5 << 20))
    with pytest.raises(InvalidUpload, match="empty"):
        await _upload(world, b"")
    assert await world.rows("SELECT 1 FROM smm.media") == []
    rows = await world.rows("SELECT reason FROM smm.object_tombstones")
    assert [row.reason for row in rows] == ["upload", "upload"]
