"""The SQL of the queue: chapters of named blocks, loaded once per schema name.

`-- name: x` heads a statement that Python sends; `-- function: x` and `-- view: x` what migrations install.
The chapters spell the schema as ``pgqueue``; it is replaced here, in one place, by the quoted configured name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

CHAPTERS = (
    "lifecycle",
    "unique",
    "limits",
    "rates",
    "fairness",
    "carry",
    "effects",
    "upkeep",
    "control",
    "schedules",
    "supervision",
    "actions",
    "breakers",
    "alerts",
    "views",
    "testing",
)
_HEAD = re.compile(r"^-- (name|function|view): (\w+)$", re.MULTILINE)
_SCHEMA_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,40}$")


@dataclass(frozen=True, slots=True)
class Chapters:
    """The blocks of all chapters for one schema name."""

    schema: str
    statements: Mapping[str, LiteralString]
    functions: Mapping[str, LiteralString]
    views: Mapping[str, LiteralString]


def in_schema(text: str, schema: str) -> LiteralString:
    """Put the schema's quoted name where the chapters say ``pgqueue.``."""
    if not _SCHEMA_NAME.match(schema):
        raise ConfigurationError(
            f"schema name {schema!r} is not usable; take lower-case letters, digits and _ (at most 41), no digit first"
        )
    quoted = sql.Identifier(schema).as_string(None)
    # Trusted text of this package, and a name that was just checked.
    return re.sub(r"\bpgqueue\.", quoted + ".", text)


@cache
def load(schema: str = "pgqueue") -> Chapters:
    """Read the chapters; a block's name must be unique."""
    found: dict[str, dict[str, LiteralString]] = {"name": {}, "function": {}, "view": {}}
    for chapter in CHAPTERS:
        text = files(__package__).joinpath(f"{chapter}.sql").read_text("utf-8")
        heads = list(_HEAD.finditer(text))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        for head, end in zip(heads, ends, strict=True):
            kind, name = head.groups()
            if name in found[kind]:
                raise ConfigurationError(f"SQL block {name!r} stands twice in the chapters")
            found[kind][name] = in_schema(text[head.end() : end].strip(), schema)
    return Chapters(schema, found["name"], found["function"], found["view"])
