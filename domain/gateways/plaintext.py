"""Plain text out of strangers' HTML: what a reader would see, and nothing that a browser would run."""

from __future__ import annotations

import html
import re

_BREAK = re.compile(r"<\s*(?:br|/p)\b[^>]*>", re.IGNORECASE)


def plain(markup: str) -> str:
    """Return the text; paragraphs and breaks become line ends."""
    import nh3  # 2 MB, for those who read comments

    broken = _BREAK.sub("\n", markup)
    return html.unescape(nh3.clean(broken, tags=set())).replace("\x00", "").strip()
