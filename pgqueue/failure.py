"""An exception as text to be stored: bounded, no NUL, no lone surrogates, no secret, whatever the exception does."""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass

from pgqueue.secret import MOST_REDACTED, redact, shown

MOST_ERROR = 2_048
MOST_TRACEBACK = 16_384
_MOST_NAME = 200
_UNPRINTABLE = "<this exception cannot be printed>"
# What differs between two failures of one cause: numbers, hexadecimal ids, quoted values.
_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+|'[^']*'|\"[^\"]*\"", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, ready to be stored."""

    type: str
    error: str
    trace: str = ""

    def fingerprint(self, kind: str) -> str:
        """Return the same value for the same cause: dead letters are grouped by it."""
        essence = f"{kind}\n{self.type}\n{_VARIABLE.sub('#', self.error)}"
        return hashlib.sha256(essence.encode("utf-8", "replace")).hexdigest()[:16]


def storable(text: str, most: int) -> str:
    """Make text that may be stored: secrets masked, NUL and lone surrogates shown, cut on a character with a mark."""
    text = shown(text)
    if len(text) > most:
        text = text[: most - 1] + "…"
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def describe(error: BaseException) -> Failure:
    """Describe any exception, also one whose ``__str__`` raises, recurses or is huge."""
    try:
        text = str(error)
    except BaseException as broken:  # noqa: BLE001 - a job's exception may do anything when it is printed
        text = f"{_UNPRINTABLE} ({type(broken).__name__})"
    try:
        trace = "".join(traceback.format_exception(error, limit=-20, chain=_is_short_chain(error)))
    except BaseException:  # noqa: BLE001 - a job's exception may do anything when it is printed
        trace = ""
    return Failure(
        storable(type(error).__qualname__, _MOST_NAME),
        storable(text, MOST_ERROR),
        storable(
            redact(trace[-MOST_REDACTED:])[-MOST_TRACEBACK:], MOST_TRACEBACK
        ),  # a secret is whole when it is masked
    )


def _is_short_chain(error: BaseException) -> bool:
    """Tell whether following causes ends soon (a cycle or a thousand links would print for ever)."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None:
        if id(link) in seen or len(seen) > 20:  # noqa: PLR2004 - nobody reads more links
            return False
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return True
