"""What a secret looks like: by the name beside it, by its shape, by chance. Refused at enqueue, masked when shown.

One list for both uses.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pgqueue.errors import ConfigurationError
from pgqueue.secret.chance import is_random
from pgqueue.secret.shapes import ASSIGNED, BASIC, GROUPS, SHOWN, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
_SHORTEST = 8  # characters; nothing shorter has a shape
MOST_REDACTED = 65_536
"""Characters of one text that are looked through; what is longer is cut, because nobody would have looked."""

# The last words of a name decide: `api_token` is one, `token_id` and `password_hash` only speak of one.
_NAMES = frozenset({
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "credential", "authorization", "cookie",
    "apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey", "encryptionkey",
})  # fmt: skip
_KEYS = frozenset({"api", "access", "secret", "private", "auth", "signing", "encryption"})  # … key
_FILLERS = frozenset({"value", "plain", "plaintext", "raw", "str"})  # password_plain is still a password
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# What ends like this names or describes something and may look like chance.
_NAMING = frozenset({
    "id", "ids", "uid", "uuid", "guid", "key", "version", "hash", "digest", "checksum", "etag", "md", "md5", "sha",
    "sha1", "sha256", "fingerprint", "integrity", "slug", "path", "url", "uri", "href", "file", "filename", "name",
    "cursor", "bucket", "object", "revision", "commit", "ref", "image", "data", "blob", "content",
})  # fmt: skip


@dataclass(frozen=True)
class Secrets:
    """What counts as a secret: what is known here, and what an application adds."""

    names: frozenset[str] = frozenset()
    """Further names, as words joined by _; a field whose name ends with one is refused."""
    patterns: tuple[str, ...] = ()
    """Further shapes, as regular expressions."""

    def __post_init__(self) -> None:
        """Compile. Raises ConfigurationError for a pattern that is none, or that everything looks like."""
        own = []
        for pattern in self.patterns:
            try:
                compiled = re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(f"secret_patterns: {pattern!r} is no regular expression: {error}") from None
            if compiled.search("") is not None:
                raise ConfigurationError(f"secret_patterns: {pattern!r} matches the empty text; say how it begins")
            own.append(Shape("", compiled))
        refused = (*GROUPS, ("", tuple(own))) if own else GROUPS
        object.__setattr__(self, "_refused", refused)
        object.__setattr__(self, "_masked", (*(shape for _, shapes in refused for shape in shapes), *SHOWN))
        object.__setattr__(self, "names_secret", lru_cache(4096)(self._names_secret))
        object.__setattr__(self, "names_nothing", lru_cache(4096)(self.names_nothing))

    def _names_secret(self, name: str) -> bool:
        words = [word.lower() for word in _WORD.findall(name)]
        while len(words) > 1 and words[-1] in _FILLERS:
            words.pop()
        if not words:
            return False
        last = words[-1].removesuffix("s") if words[-1] not in _NAMES else words[-1]
        if last in _NAMES or (last == "key" and words[-2:-1] and words[-2] in _KEYS):
            return True
        joined = "_" + "_".join(words)
        return any(joined.endswith(f"_{known.lower()}") for known in self.names)

    def names_secret(self, name: str) -> bool:
        """Tell whether a field of this name holds a secret: accessToken, X-Api-Key, db_password."""
        return self._names_secret(name)

    def names_nothing(self, name: str) -> bool:
        """Tell whether a field's name is a plain word, and neither says that it holds a secret nor is one."""
        return name.isidentifier() and not self._names_secret(name) and not self.looks_secret(name, "key")

    def looks_secret(self, text: str, field: str = "") -> bool:
        """Tell whether a value of ``field`` is to be refused."""
        if len(text) < _SHORTEST:
            return False
        for needed, shapes in self._refused:  # type: ignore[attr-defined]  # compiled when it was made
            if needed in text:
                for hint, pattern in shapes:
                    if hint in text and pattern.search(text) is not None:
                        return True
        if BASIC.hint in text and any(_is_basic(found[1]) for found in BASIC.pattern.finditer(text)):
            return True
        return len(text) >= 24 and is_random(text) and not _describes(field)  # noqa: PLR2004 - shorter is never random

    def redact(self, text: str) -> str:
        """Return the text with every secret in it masked; of a long one the first 65 536 characters."""
        if len(text) > MOST_REDACTED:
            text = text[:MOST_REDACTED] + "…"
        for hint, pattern in self._masked:  # type: ignore[attr-defined]  # compiled when it was made
            if hint in text:
                text = _masked(text, pattern.finditer(text))
        if BASIC.hint in text:
            text = _masked(text, (found for found in BASIC.pattern.finditer(text) if _is_basic(found[1])))
        lower = text.replace("İ", "I").lower()  # the one letter whose small form is longer
        for hint, pattern in ASSIGNED:
            if hint in lower:
                text = _masked(text, pattern.finditer(lower))
                lower = text.replace("İ", "I").lower()
        return text

    def shown(self, text: str) -> str:
        """Return a value of one text as it may be shown."""
        return MASK if is_random(text) else self.redact(text)

    def redacted(self, value: object, depth: int = 0) -> object:
        """Return a value with every secret in it masked, by name or by shape."""
        if isinstance(value, str):
            return self.shown(value)
        if depth > 64:  # noqa: PLR2004 - deeper than arguments may be
            return MASK
        if isinstance(value, dict):
            return {
                self.redact(key) if isinstance(key, str) else key: self._member(key, item, depth)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.redacted(item, depth + 1) for item in value]
        return value

    def _member(self, key: object, item: object, depth: int) -> object:
        counts = isinstance(item, (int, float)) and str(key).endswith("s")  # max_tokens=512
        if isinstance(key, str) and item not in (None, "", [], {}) and not counts and self.names_secret(key):
            return MASK
        if isinstance(item, str) and isinstance(key, str) and _describes(key):
            return self.redact(item)
        return self.redacted(item, depth + 1)


def _masked(text: str, found: Iterable[re.Match[str]]) -> str:
    """Put the mask where the secrets are."""
    parts, end = [], 0
    for match in found:
        group = 1 if match.re.groups else 0
        parts += [text[end : match.start(group)], MASK]
        end = match.end(group)
    return "".join((*parts, text[end:])) if parts else text


def _is_basic(text: str) -> bool:
    """Tell whether it is base64 of ``user:password``, and not the word after "basic"."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return False
    return b":" in decoded and decoded.isascii()


@lru_cache(4096)
def _describes(field: str) -> bool:
    words = _WORD.findall(field)
    return bool(words) and (words[-1].lower() in _NAMING or field.lower().rsplit("_", 1)[-1] in _NAMING)


_known = Secrets()


def learn(secrets: Secrets) -> None:
    """Make an application's rules those of this process: a worker does so when it starts."""
    global _known  # noqa: PLW0603 - as logging is: one process, one set of rules for what is written
    _known = secrets


def redact(text: str) -> str:
    """Return the text with every secret in it masked."""
    return _known.redact(text)


def shown(text: str) -> str:
    """Return a value of one text as it may be shown."""
    return _known.shown(text)


def redacted(value: object) -> object:
    """Return a value with every secret in it masked."""
    return _known.redacted(value)
