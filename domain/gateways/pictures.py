"""Small pictures of uploads. Decoders are native code fed by strangers: call this in a child process with limits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from PIL import Image

SIDE: Final = 640
MOST_PIXELS: Final = 50_000_000
_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF"}
_ORIENTATION: Final = 0x0112
_LYING: Final = range(5, 9)
_MICROSECONDS: Final = 1_000_000
_FIRST_LOOK: Final = 1_000_000  # microseconds into a video: its first frame is often black


class Undecodable(Exception):
    """A file that is not what it begins like, or larger than we decode."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A small WebP without metadata, and the measures of the original."""

    content: bytes
    size: tuple[int, int]
    original: tuple[int, int]
    duration_ms: int | None = None


def picture_of(path: Path, detected_type: str) -> Picture:
    """Make the small picture of an image or a video."""
    from PIL import Image  # decoders, for the one process that decodes

    with path.open("rb") as file:
        try:
            return _of_image(file, _FORMATS[detected_type]) if detected_type in _FORMATS else _of_video(file)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise Undecodable(f"{type(error).__name__}: {error}"[:300]) from error


def _of_image(file: BinaryIO, kind: str) -> Picture:
    from PIL import Image, ImageOps

    with Image.open(file, formats=[kind]) as image:
        _check(*image.size)  # as the header says: nothing is decoded yet
        original = image.size
        image.draft("RGB", (SIDE, SIDE))  # a JPEG is decoded at an eighth of its size if that is enough
        if image.getexif().get(_ORIENTATION, 1) in _LYING:
            original = original[1], original[0]
        return Picture(*_shrunk(ImageOps.exif_transpose(image)), original=original)


def _of_video(file: BinaryIO) -> Picture:
    import av  # 17 MB, for the one process that decodes

    try:
        return _of_container(file)
    except av.FFmpegError as error:
        raise Undecodable(f"{type(error).__name__}: {error}"[:300]) from error


def _of_container(file: BinaryIO) -> Picture:
    import av

    # the format is given: else a playlist could make it open other files and addresses
    with av.open(file, mode="r", format="mov") as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise Undecodable("there is no picture in the video")
        _check(stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.skip_frame = "NONKEY"
        length = container.duration
        if length:
            container.seek(min(_FIRST_LOOK, length // 3))
        frame = next(container.decode(stream), None)
        if frame is None:
            raise Undecodable("there is no frame in the video")
        _check(frame.width, frame.height)
        milliseconds = None if length is None else length * 1_000 // _MICROSECONDS
        size = (frame.width, frame.height)
        image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call] # it carries no types
        return Picture(*_shrunk(image), original=size, duration_ms=milliseconds)


def _check(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise Undecodable(f"{width} by {height} pixels; at most {MOST_PIXELS} are decoded")


def _shrunk(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    from PIL import Image

    transparent = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    small = image.convert("RGBA" if transparent else "RGB")
    small.thumbnail((SIDE, SIDE))
    clean = Image.new(small.mode, small.size)  # pixels alone: no place, no camera, no comment comes along
    clean.paste(small)
    written = io.BytesIO()
    clean.save(written, "WEBP", quality=80, method=4)
    return written.getvalue(), clean.size
