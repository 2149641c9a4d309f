"""Is a text made by chance, as keys are? Classes of characters change all the time in it."""

from __future__ import annotations

import base64
import binascii
import re

_TOKEN = re.compile(r"[0-9A-Za-z_-]{24,200}|[0-9A-Za-z+/]{24,200}={0,2}")
_NO_CHANCE = re.compile(
    r"[0-9a-fA-F_-]+|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|sha(?:1|256|384|512)[-:].*|[0-9_+/=-]+|[A-Za-z_+/=-]+"
)
_CLASSES = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "a" * 26 + "A" * 26 + "0" * 10
)


def is_random(text: str) -> bool:
    """Tell whether a text of one word is made by chance, as keys are: classes of characters change all the time."""
    if not 24 <= len(text) <= 202 or not _TOKEN.fullmatch(text) or _NO_CHANCE.fullmatch(text):  # noqa: PLR2004 - a key's length
        return False
    classes = re.sub(r"[^aA0]", "", text.translate(_CLASSES))
    runs = re.findall(r"a+|A+|0+", classes)
    changes = len(runs) / len(classes)
    digits = sum(run[0] == "0" for run in runs)
    if "A" in classes and "a" in classes:
        random = changes >= 0.45 and digits >= 3 and max(map(len, runs)) <= 8  # noqa: PLR2004 - see tests/unit/test_secret.py
    else:
        random = classes == text.translate(_CLASSES) and changes >= 0.3 and digits >= 6  # noqa: PLR2004 - the same
    return random and len(set(text)) >= min(len(text) // 2, 16) and not _says_something(text)


def _says_something(text: str) -> bool:
    """Tell whether it is base64 of readable text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode("utf-8").isprintable()
    except (ValueError, binascii.Error):
        return False
