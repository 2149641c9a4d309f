"""What a file is by its first bytes; what it says of itself does not count."""

from __future__ import annotations

ENOUGH = 12
"""How many bytes tell."""

_PNG = b"\x89PNG\r\n\x1a\n"
# Brands of films. Those of still pictures in the same box format (heic, avif) are not among them.
_MP4 = {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"M4VP", b"MSNV", b"dash"}


def sniff(head: bytes) -> str | None:
    """Return the media type if it is one that we take."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(_PNG):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4" if head[8:12] in _MP4 else None
    return None


def measures(head: bytes, media_type: str) -> tuple[int, int] | None:
    """Return width and height that an image says it has; None: they do not stand in these first bytes."""
    match media_type:
        case "image/png" if head[12:16] == b"IHDR" and len(head) >= 24:  # noqa: PLR2004 - where they end
            return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
        case "image/gif" if len(head) >= 10:  # noqa: PLR2004 - where they end
            return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        case "image/webp" if len(head) >= 30:  # noqa: PLR2004 - where the longest kind has them
            return _webp(head)
        case "image/jpeg":
            return _jpeg(head)
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """Walk from segment to segment until the one that begins a frame."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:  # noqa: PLR2004 - every segment begins so
        marker = head[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - padding
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004 - frames, but not tables
            return int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7])
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None
