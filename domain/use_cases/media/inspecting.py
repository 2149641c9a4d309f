"""A first look at an upload while it passes by: what is plainly wrong is refused before it is stored.

The scan looks again at what was stored; nothing depends on this look alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.use_cases.media.sniffing import ENOUGH, measures, sniff
from domain.use_cases.media.uploading import InvalidUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

MOST_PIXELS: Final = 50_000_000
"""As many as the decoder of small pictures takes."""
_LOOK_AT: Final = 1 << 16
TAKEN: Final = ("image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/quicktime")
ANYTHING: Final = "application/octet-stream"


class RefusedType(InvalidUpload):
    """A file of a type that we do not take, or of another one than was said."""


async def inspected(chunks: AsyncIterable[bytes], declared_type: str) -> AsyncIterator[bytes]:
    """Pass the chunks on, the first ones once they have been looked at.

    Raises:
        RefusedType: not one of the types in `TAKEN`, or not ``declared_type``.
        InvalidUpload: an image of more pixels than anybody should decode.

    """
    head = bytearray()
    looked = False
    async for chunk in chunks:
        if looked:
            yield chunk
            continue
        head += chunk
        if len(head) >= _LOOK_AT:
            _look(bytes(head), declared_type)
            looked = True
            yield bytes(head)
    if not looked:
        _look(bytes(head), declared_type)
        yield bytes(head)


def _look(head: bytes, declared_type: str) -> None:
    if not head:
        raise InvalidUpload("the file is empty")
    found = sniff(head[:ENOUGH])
    if found is None:
        raise RefusedType(f"the file is none of {', '.join(TAKEN)}")
    declared = declared_type.partition(";")[0].strip().lower()
    if declared not in (found, ANYTHING):
        raise RefusedType(f"the file was sent as {declared[:100] or 'nothing'}, but is {found}")
    size = measures(head, found)
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise InvalidUpload(f"the image has {size[0]} x {size[1]} pixels; {MOST_PIXELS} at most are taken")
