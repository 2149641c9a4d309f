"""Arguments as JSON: what may be stored, told before PostgreSQL would refuse it, with the path to the culprit."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_json

from pgqueue.errors import InvalidJob, SecretInArguments
from pgqueue.secret import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES = 256 * 1024
DEEPEST = 64
_STANDARD = Secrets()
_PLAIN = frozenset({UUID, int, bool, type(None), datetime, date})


def encode(
    kind: str,
    args: dict[str, Any],
    *,
    safe: Iterable[str] = (),
    most_bytes: int = MOST_BYTES,
    secrets: Secrets = _STANDARD,
) -> str:
    """Return the arguments as JSON text.

    Raises:
        InvalidJob: NUL byte, lone surrogate, NaN or infinity, nested deeper than 64, larger than ``most_bytes``.
        SecretInArguments: a field name or value that looks like a secret.

    """
    allowed = frozenset(safe)
    for name, value in args.items():  # one look clears what is plain; what the JSON shows is looked for there
        plain = not secrets.looks_secret(value, name) if type(value) is str else type(value) in _PLAIN
        if not plain or not secrets.names_nothing(name):
            _look_closely(kind, args, allowed, secrets)
            break
    try:
        text = to_json(args, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        _look_closely(kind, args, allowed, secrets)
        raise InvalidJob(f"the arguments of {kind} cannot be written as JSON: {error}") from None
    if len(text) > most_bytes:
        raise InvalidJob(
            f"the arguments of {kind} take {len(text):,} bytes, more than {most_bytes:,}; "
            "store the data in a table or an object store and pass its id"
        )
    if b"\\u0000" in text or b"NaN" in text or b"Infinity" in text:
        _look_closely(kind, args, allowed, secrets)
        _check_text(kind, text)
    return text.decode("utf-8")


def _look_closely(kind: str, args: dict[str, Any], safe: frozenset[str], secrets: Secrets) -> None:
    """Look at every value of every depth, and name the one that cannot be stored by its path."""
    for path, value in _walk(args, kind, 0):
        _check(path, value)
        _check_secret(path, value, safe, secrets)


def _check_text(kind: str, text: bytes) -> None:
    """Find in the JSON what hid in a type that is not walked (bytes, a deque, somebody's own)."""
    if b"\\u0000" in text and re.search(rb"(?<!\\)(?:\\\\)*\\u0000", text):
        raise InvalidJob(f"{kind} has an argument with a NUL byte, which PostgreSQL cannot store; remove or encode it")
    if b"NaN" in text or b"Infinity" in text:
        json.loads(text, parse_constant=lambda name: _no_number(kind, name))


def _no_number(kind: str, name: str) -> None:
    raise InvalidJob(f"{kind} has an argument that is {name}; JSON has no such number, pass None or text")


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:
        raise InvalidJob(
            f"the arguments are nested deeper than {DEEPEST} at {path[:200]}; flatten them or store them elsewhere"
        )
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}", item if isinstance(item, UUID) and str(key).isprintable() else str(key)
            yield from _walk(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def _check(path: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidJob(f"{path} is {value}; JSON has no such number, pass None or text")
    if not isinstance(value, str):
        return
    if "\x00" in value:
        raise InvalidJob(f"{_shown(path)} contains a NUL byte, which PostgreSQL cannot store; remove or encode it")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidJob(f"{_shown(path)} contains a lone surrogate at {error.start}; it is no Unicode text") from None


@lru_cache(4096)
def _field(path: str) -> str:
    """Return the field that a path ends with."""
    return re.sub(r"\[\d+\]", "", path).rsplit(".", 1)[-1]


def _check_secret(path: str, value: Any, safe: frozenset[str], secrets: Secrets) -> None:
    """Refuse names and values that look like secrets; a UUID names something, it opens nothing."""
    if isinstance(value, UUID):
        return
    field = _field(path)
    if field in safe:
        return
    if (
        isinstance(value, SecretStr | SecretBytes)
        or secrets.names_secret(field)
        # what stands as a key of a dict names something: it may look like chance
        or (isinstance(value, str) and secrets.looks_secret(value, "key" if value == field else field))
    ):
        raise SecretInArguments(
            f"{_shown(secrets.redact(path))} looks like a secret; arguments are stored and shown. Keep it in a table "
            f"or a vault and pass its id, or mark a harmless field: safe=({secrets.redact(field)!r},)"
        )


def _shown(path: str) -> str:
    return path.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:200]
