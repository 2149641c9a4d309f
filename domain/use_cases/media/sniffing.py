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
