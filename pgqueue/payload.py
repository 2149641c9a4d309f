"""Arguments as JSON: what may be stored, told before PostgreSQL would refuse it, with the path to the culprit."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from pgqueue.errors import InvalidJob, SecretInArguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES = 256 * 1024
DEEPEST = 64
_SECRET_NAME = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?|authorization|cookie)s?$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"^(sk|rk|pk)_(live|test)_\w{8,}|^gh[pousr]_\w{20,}|^github_pat_|^AKIA[0-9A-Z]{16}$|^xox[abprs]-|^eyJ[\w-]{8,}\.[\w-]{8,}\."
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|^glpat-[\w-]{20}|^AIza[\w-]{35}$|://[^/\s:@]+:[^/\s@]+@"
)


def encode(kind: str, args: dict[str, Any], *, safe: Iterable[str] = (), most_bytes: int = MOST_BYTES) -> str:
    """Return the arguments as JSON text.

    Raises:
        InvalidJob: NUL byte, lone surrogate, NaN or infinity, nested deeper than 64, larger than ``most_bytes``.
        SecretInArguments: a field name or value that looks like a secret.

    """
    allowed = frozenset(safe)
    for path, value in _walk(args, kind, 0):
        _check(path, value, allowed)
    text = to_json(args, inf_nan_mode="constants").decode("utf-8")
    if len(text) > most_bytes:
        raise InvalidJob(
            f"the arguments of {kind} take {len(text):,} bytes, more than {most_bytes:,}; "
            "store the data in a table or an object store and pass its id"
        )
    return text


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > DEEPEST:
        raise InvalidJob(
            f"the arguments are nested deeper than {DEEPEST} at {path[:200]}; flatten them or store them elsewhere"
        )
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key}", str(key)
            yield from _walk(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, value


def _check(path: str, value: Any, safe: frozenset[str]) -> None:
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
    field = re.sub(r"\[\d+\]", "", path).rsplit(".", 1)[-1]
    if field not in safe and (_SECRET_NAME.search(field) or _SECRET_VALUE.search(value)):
        raise SecretInArguments(
            f"{_shown(path)} looks like a secret; arguments are stored and shown. Keep it in a table or a vault and "
            f"pass its id, or mark a harmless field: safe=({field!r},)"
        )


def _shown(path: str) -> str:
    return path.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:200]
