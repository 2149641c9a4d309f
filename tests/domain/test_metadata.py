"""What a camera writes into a file stays here; the picture goes out as it was."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from domain.gateways.metadata import Damaged, without_metadata
from domain.standins import BlueskyStandIn
from tests.domain.files import ORIENTATION, PLACE, a_video, an_image
from tests.domain.networks import a_picture, connect

if TYPE_CHECKING:
    from tests.domain.world import World

KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
NESTED = b"\x00\x00\x00\x00moov" * 5_000
PLACE_NAME = b"Rua das Flores 12"


@pytest.mark.trap("the place where a picture was taken leaks")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_goes_out_without_its_place_and_the_same_way_up(kind: str, *, turned: bool) -> None:
    before = an_image(kind, size=(40, 20), turned=turned)
    assert Image.open(io.BytesIO(before)).getexif().get_ifd(PLACE)
    after = without_metadata(before, KINDS[kind])
    image = Image.open(io.BytesIO(after))
    assert not image.getexif().get_ifd(PLACE)
    assert image.getexif().get(ORIENTATION, 1) == (6 if turned else 1)
    assert image.tobytes() == Image.open(io.BytesIO(before)).tobytes()
    assert without_metadata(after, KINDS[kind]) == after


def test_comments_and_texts_go_too() -> None:
    image, written, text = Image.new("RGB", (4, 4)), io.BytesIO(), PngInfo()
    text.add_itxt("Author", PLACE_NAME.decode())
    text.add_text("Comment", PLACE_NAME.decode(), zip=True)
    image.save(written, "PNG", pnginfo=text)
    assert Image.open(io.BytesIO(without_metadata(written.getvalue(), "image/png"))).info == {}
    written = io.BytesIO()
    image.save(written, "JPEG", comment=PLACE_NAME)
    assert PLACE_NAME in written.getvalue()
    assert PLACE_NAME not in without_metadata(written.getvalue(), "image/jpeg")
    written = io.BytesIO()
    image.save(written, "WEBP", xmp=b"<x>" + PLACE_NAME + b"</x>")
    assert PLACE_NAME not in without_metadata(written.getvalue(), "image/webp")


@pytest.mark.trap("the place where a picture was taken leaks")
def test_a_video_goes_out_without_its_place_and_still_plays() -> None:
    written = io.BytesIO()
    with av.open(io.BytesIO(a_video()), mode="r") as source, av.open(written, mode="w", format="mp4") as target:
        target.metadata["comment"] = PLACE_NAME.decode()
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    before = written.getvalue()
    assert PLACE_NAME in before
    after = without_metadata(before, "video/mp4")
    assert PLACE_NAME not in after
    assert len(after) == len(before)
    with av.open(io.BytesIO(after), mode="r") as container:
        assert len(list(container.decode(video=0))) == 20


@pytest.mark.parametrize("media_type", [*KINDS.values(), "video/mp4"])
@pytest.mark.parametrize("content", [b"", b"jpg", b"\xff\xd8\xff\xe1", b"\x00" * 40, b"\x00\x00\x00\x02moov", NESTED])
def test_a_file_that_is_built_wrong_harms_nobody(content: bytes, media_type: str) -> None:
    try:
        without_metadata(content, media_type)
    except Damaged as error:
        assert media_type.split("/", maxsplit=1)[0] in str(error)  # noqa: PT017 - whether it is refused depends on the bytes


@pytest.mark.trap("a file is exchanged after its scan")
@pytest.mark.anyio
async def test_a_network_gets_the_scanned_file_without_its_place_and_no_other_one(world: World) -> None:
    with BlueskyStandIn() as network:
        on = await connect(world, "bluesky", network)
        content = an_image(size=(8, 8))
        good, swapped = a_picture(world, content), a_picture(world, content)
        await world.app.storage.put(good.storage_key, content)
        await world.app.storage.put(swapped.storage_key, an_image(size=(9, 9)))  # after the scan, behind our back
        async with world.app.units.begin(world.tenant.context) as uow:
            uow.session.add_all([good, swapped])
        posts = []
        for picture in (good, swapped):
            on.media_ids[:] = [picture.id]
            posts.append(await on.schedule(f"com {picture.id}"))
        await world.work()
        published, refused = [await world.post(post_id) for post_id in posts]
        assert (published.status, refused.status, refused.failure_code) == ("published", "failed", "media_changed")
        assert network.called("uploadBlob") == 1
        [record] = network.state()["posts"]
        [image] = record["record"]["embed"]["images"]
        assert image["image"]["size"] == len(without_metadata(content, "image/jpeg")) < len(content)
