"""Text as Bluesky counts and marks it: length in graphemes, places in bytes of UTF-8."""

from __future__ import annotations

from typing import Any

import regex

_GRAPHEME = regex.compile(r"\X")
_LINK = regex.compile(r"(?<![\w@/])https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}'»”\u2019]")
_TAG = regex.compile(r"(?<![\w/#&])#(?=[\p{L}\p{N}_]*\p{L})([\p{L}\p{M}\p{N}_]{1,64})")


def graphemes(text: str) -> int:
    """Count what a reader takes for characters: a flag or a family is one."""
    return len(_GRAPHEME.findall(text))


def facets(text: str) -> list[dict[str, Any]]:
    """Mark links and tags, each by the bytes that it takes."""
    links = list(_LINK.finditer(text))
    found = [_facet(text, match, {"$type": f"{_FACET}#link", "uri": match.group()}) for match in links]
    within = [range(*match.span()) for match in links]
    found += [
        _facet(text, match, {"$type": f"{_FACET}#tag", "tag": match.group(1)})
        for match in _TAG.finditer(text)
        if not any(match.start() in link for link in within)
    ]
    return sorted(found, key=lambda facet: facet["index"]["byteStart"])


_FACET = "app.bsky.richtext.facet"


def _facet(text: str, match: regex.Match[str], feature: dict[str, str]) -> dict[str, Any]:
    start = len(text[: match.start()].encode())
    return {"index": {"byteStart": start, "byteEnd": start + len(match.group().encode())}, "features": [feature]}
