"""What cameras write into files besides the picture: where it was taken, by whom, with what. Networks get none of it.

Nothing is decoded: the parts of a file that are not the picture are left out, the others stay as they are.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = 1
_EXIF: Final = b"Exif\0\0"
# JPEG: Exif and XMP, IPTC, a comment
_PRIVATE_SEGMENTS: Final = {0xE1, 0xED, 0xFE}
_START_OF_SCAN: Final = 0xDA
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PRIVATE_CHUNKS: Final = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
_WEBP_FLAGS: Final = 0x08 | 0x04  # that there is Exif, that there is XMP
_PRIVATE_BOXES: Final = {b"udta", b"meta", b"uuid"}
# a film, and in it its tracks: no other box is looked into, however deep a stranger has nested them
_BOXES_WITH_BOXES: Final = ({b"moov"}, {b"trak"})
_BOX_HEAD: Final = 8
_LARGE_BOX: Final = 1


class Damaged(Exception):
    """A file that is not built as its type says."""


def without_metadata(content: bytes, media_type: str) -> bytes:
    """Return the file without its metadata; which way is up is kept. Raises `Damaged`."""
    try:
        match media_type:
            case "image/jpeg":
                return b"".join(_jpeg(content))
            case "image/png":
                return _PNG + b"".join(_png(content))
            case "image/webp":
                return _webp(content)
            case "video/mp4" | "video/quicktime":
                return _video(content)
            case _:
                return content
    except (struct.error, IndexError) as error:
        raise Damaged(f"the file is no {media_type}: {error}") from error


def _jpeg(content: bytes) -> Iterator[bytes]:
    yield content[:2]
    at = 2
    while content[at + 1] != _START_OF_SCAN:
        marker, length = struct.unpack_from(">xBH", content, at)
        segment = content[at : at + 2 + length]
        if content[at] != 0xFF or length < 2:  # noqa: PLR2004 - every marker begins so; a length counts itself
            raise Damaged("the file is no image/jpeg: a segment has no marker")
        body = segment[4:]
        if marker not in _PRIVATE_SEGMENTS:
            yield segment
        elif body.startswith(_EXIF) and (turned := _turned(body[len(_EXIF) :])):
            yield struct.pack(">BBH", 0xFF, marker, 2 + len(_EXIF) + len(turned)) + _EXIF + turned
        at += 2 + length
    yield content[at:]


def _png(content: bytes) -> Iterator[bytes]:
    at = len(_PNG)
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind not in _PRIVATE_CHUNKS:
            yield content[at : at + 12 + length]
        elif kind == b"eXIf" and (turned := _turned(body)):
            yield struct.pack(">I", len(turned)) + kind + turned + struct.pack(">I", zlib.crc32(kind + turned))
        at += 12 + length


def _webp(content: bytes) -> bytes:
    at, parts, flags = 12, [], _WEBP_FLAGS
    while at < len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind == b"EXIF" and (turned := _turned(body.removeprefix(_EXIF))):
            parts.append((kind, turned))
            flags &= ~0x08
        elif kind not in {b"EXIF", b"XMP "}:
            parts.append((kind, body))
        at += 8 + length + length % 2
    written = b"".join(
        struct.pack("<4sI", kind, len(body)) + _flagged(kind, body, ~flags) + bytes(len(body) % 2)
        for kind, body in parts
    )
    return struct.pack("<4sI4s", b"RIFF", 4 + len(written), b"WEBP") + written


def _flagged(kind: bytes, body: bytes, kept: int) -> bytes:
    return bytes([body[0] & kept & 0xFF]) + body[1:] if kind == b"VP8X" else body


def _video(content: bytes) -> bytes:
    """Turn boxes of metadata into free space: everything else keeps its place, to which the file points by number."""
    cleared = bytearray(content)
    for start, kind, end, head in _boxes(content, 0, len(content)):
        if kind in _PRIVATE_BOXES:
            cleared[start + 4 : start + 8] = b"free"
            cleared[start + head : end] = bytes(end - start - head)
    return bytes(cleared)


def _boxes(content: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[int, bytes, int, int]]:
    while start < end:
        size, kind = struct.unpack_from(">I4s", content, start)
        head = _BOX_HEAD
        if size == _LARGE_BOX:
            (size,), head = struct.unpack_from(">Q", content, start + _BOX_HEAD), 2 * _BOX_HEAD
        size = size or end - start  # zero: up to the end
        if size < head:
            raise Damaged("the file is no video: a box ends before it begins")
        yield start, kind, min(start + size, end), head
        if depth < len(_BOXES_WITH_BOXES) and kind in _BOXES_WITH_BOXES[depth]:
            yield from _boxes(content, start + head, min(start + size, end), depth + 1)
        start += size


def _turned(tiff: bytes) -> bytes:
    """Return Exif that says how the picture is turned and nothing else; nothing if it is upright."""
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        entries = [struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * number) for number in range(count)]
    except struct.error:
        return b""
    turned = next((value for tag, _, _, value in entries if tag == _ORIENTATION), _UPRIGHT)
    if turned == _UPRIGHT:
        return b""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, turned, 0, 0)
