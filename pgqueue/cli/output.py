"""What a command prints: a table for people, the same rows as JSON for programs.

Data is never trusted with the terminal: control characters in it are shown, not sent, and secrets are masked.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pgqueue.secret import redact, redacted
from pgqueue.terminal import neutral

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_EXACT = 1 << 53
_DEEPEST = 100  # more than any enqueue lets through
_WIDEST = 100
_GAP = 2  # between columns of a terminal's table, or around them

_STEPS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "m"), (0, 1, "s"))


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers stand to the right; ``style`` is rich's, used on a terminal only."""

    title: str
    right: bool = False
    style: str = ""
    grows: bool = False
    """Takes the width that is left, and is cut with an ellipsis."""


def _shown(text: str) -> str:
    """Return text that may be printed: no secret, no control character."""
    return neutral(redact(text))


def age(seconds: float | None) -> str:
    """Return a length of time as people say it: 5s, 3m, 7h, 2d."""
    if seconds is None:
        return ""
    if seconds < 0:
        return f"in {age(-seconds)}" if seconds <= -1 else "0s"
    return next(f"{int(seconds // unit)}{name}" for least, unit, name in _STEPS if seconds >= least)


def when(moment: datetime | None) -> str:
    """Return a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows; ``empty`` is said when there are none."""
    cells = [[_shown("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not cells:
        _write(empty)
    elif sys.stdout.isatty():
        _rich_table(columns, cells)
    else:
        _plain_table(columns, cells)


def _plain_table(columns: Sequence[Column], rows: list[list[str]]) -> None:
    cut = [[_cut(cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows]
    lines = [[column.title for column in columns], *cut]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    for line in lines:
        parts = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        _write("  ".join(parts).rstrip())


def _cut(cell: str, column: Column) -> str:
    return cell if not column.grows or len(cell) <= _WIDEST else cell[: _WIDEST - 1] + "…"


def _rich_table(columns: Sequence[Column], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    widths = _widths(columns, rows)
    if sum(widths) > console.width - _GAP * len(columns):  # what nothing stands in makes room for what does
        filled = [n for n in range(len(columns)) if any(row[n] for row in rows)]
        columns, rows = [columns[n] for n in filled], [[row[n] for n in filled] for row in rows]
        widths = _widths(columns, rows)
    _fit(widths, columns, console.width - _GAP * len(columns))
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        shown.add_column(
            column.title, justify=justify, style=column.style, width=width, no_wrap=True, overflow="ellipsis"
        )
    for row in rows:
        shown.add_row(*(Text(cell, style=_STATES.get(cell, "")) for cell in row))
    console.print(shown)


def _widths(columns: Sequence[Column], rows: list[list[str]]) -> list[int]:
    from rich.cells import cell_len

    return [
        max(cell_len(cell) for cell in (column.title, *cells))
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    ]


def _fit(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Narrow the widest texts until all columns fit: those that grow first, numbers only when nothing else is left."""
    ranks = [(0 if column.grows else 1) + 2 * column.right for column in columns]
    for rank, least in ((0, 24), (1, 12), (0, 8), (1, 4), (3, 1), (1, 1), (0, 1)):
        while sum(widths) > room:
            wide = [n for n, width in enumerate(widths) if ranks[n] == rank and width > least]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1


_STATES = {
    "running": "green",
    "alive": "green",
    "completed": "green",
    "dead": "red",
    "fault": "bold red",
    "silent": "red",
    "warning": "yellow",
    "paused": "yellow",
    "held": "yellow",
    "probing": "yellow",
    "raised": "bold red",
}


def sheet(pairs: Mapping[str, object]) -> None:
    """Print one thing, a line for each of its properties; text of several lines is indented below its name."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        if value is None or value == "":
            continue
        lines = [neutral(line) for line in redact(str(value)).splitlines()] or [""]
        if len(lines) == 1:
            _write(f"{name.ljust(width)}  {lines[0]}")
        else:
            _write(name)
            for line in lines:
                _write(f"  {line}")


def say(text: str) -> None:
    """Print a line."""
    _write(_shown(text))


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def print_json(value: object) -> None:
    """Print JSON that every reader understands: ASCII, no NaN, integers above 2^53 as strings."""
    sys.stdout.write(json.dumps(redacted(_portable(value)), indent=2, allow_nan=False) + "\n")


def record(row: Any) -> dict[str, Any]:
    """Return a row of a query as a JSON object."""
    fields: dict[str, Any] = row._asdict()
    return {name: decoded(value) if name in {"args", "errors"} and value else value for name, value in fields.items()}


def decoded(text: str) -> object:
    """Return the value of a JSON text that PostgreSQL printed, or the text itself if it is nested too deep."""
    try:
        value: object = json.loads(text)
    except RecursionError:
        return text
    return text if _deeper(value, _DEEPEST) else value


def _deeper(value: object, levels: int) -> bool:
    """Whether it is nested deeper: Python 3.13 reads what its own recursion could not walk through."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for each in level
            if isinstance(each, (dict, list))
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def indented(text: str) -> str:
    """Return a JSON text over several lines, keeping the letters that people read."""
    value = redacted(decoded(text))
    return text if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _portable(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    too_large = isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT
    no_number = isinstance(value, float) and not math.isfinite(value)
    return str(value) if too_large or no_number or isinstance(value, UUID) else value
