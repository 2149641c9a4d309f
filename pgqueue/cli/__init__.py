"""The command line: nouns are groups, a bare noun lists, every command that prints knows ``--json``.

Exit codes: 0 drained or done, 1 gave jobs back or found faults, 2 usage or no such thing, 3 database or schema,
130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pgqueue.errors import ConfigurationError, InvalidJob, PgqueueError

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE, DATABASE, INTERRUPTED = 2, 3, 130

_NOUNS = (
    "jobs",
    "dead",
    "queues",
    "schedules",
    "sources",
    "workers",
    "limits",
    "weights",
    "actions",
    "breakers",
    "alerts",
)
_GLOBAL_FLAGS = ("--json", "--embedded")
_GLOBAL_VALUES = ("--database-url", "--schema", "--config")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter must not end us
    from pgqueue.cli.root import app

    try:
        app(args=arranged(sys.argv[1:] if argv is None else argv), prog_name="pgqueue")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except PgqueueError as error:
        sys.stderr.write(f"pgqueue: {one_line(error)}\n")
        return USAGE if isinstance(error, (ConfigurationError, InvalidJob)) else DATABASE
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def arranged(argv: Sequence[str]) -> list[str]:
    """Let global options stand anywhere, and a bare noun list."""
    head, rest = _hoisted(list(argv))
    if rest and rest[0] in _NOUNS and (len(rest) == 1 or (rest[1].startswith("-") and rest[1] != "--help")):
        rest.insert(1, "list")
    return head + rest


def _hoisted(argv: list[str]) -> tuple[list[str], list[str]]:
    head: list[str] = []
    rest: list[str] = []
    while argv:
        word = argv.pop(0)
        if word == "--":
            return head, [*rest, word, *argv]
        if word in _GLOBAL_FLAGS or word.startswith(tuple(f"{name}=" for name in _GLOBAL_VALUES)):
            head.append(word)
        elif word in _GLOBAL_VALUES:
            head += [word, *argv[:1]]
            del argv[:1]
        else:
            rest.append(word)
    return head, rest


def one_line(error: BaseException) -> str:
    """Return the message on one line, without control characters that a server may have put there, nor secrets."""
    from pgqueue.secret import redact
    from pgqueue.terminal import neutral

    return neutral(redact(" ".join(str(error).split())))
