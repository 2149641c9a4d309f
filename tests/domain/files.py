"""Files that people upload, and files that they should not."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
PLACE = 0x8825  # EXIF: where the camera was
ORIENTATION = 0x0112


async def stream(content: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def an_image(kind: str = "JPEG", size: tuple[int, int] = (1200, 800), *, turned: bool = False) -> bytes:
    image = Image.new("RGB", size, "red")
    image.paste("blue", (0, 0, size[0] // 2, size[1]))
    exif = image.getexif()
    exif.get_ifd(PLACE)[2] = (23.0, 33.0, 0.0)
    exif[ORIENTATION] = 6 if turned else 1  # to be turned by 90 degrees, or upright
    written = io.BytesIO()
    image.save(written, kind, exif=exif)
    return written.getvalue()


def a_video(size: tuple[int, int] = (640, 360)) -> bytes:
    written = io.BytesIO()
    with av.open(written, mode="w", format="mp4") as container:
        stream_ = container.add_stream("mpeg4", rate=Fraction(10))
        stream_.width, stream_.height, stream_.pix_fmt = *size, "yuv420p"
        for _ in range(20):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, "green"))  # type: ignore[no-untyped-call] # no types
            container.mux(stream_.encode(frame))
        container.mux(stream_.encode(None))
    return written.getvalue()


def a_bomb(side: int = 30_000) -> bytes:
    """Make a small PNG that says it has 900 million pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
