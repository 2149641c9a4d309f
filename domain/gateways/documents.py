"""Tables as files: CSV that no spreadsheet takes for a program, and PDF whose bytes depend on the data alone."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.gateways.failures import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = str | int | None

BOM = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for the code page of the country."""
# Spreadsheets run what begins so; the last four are the full-width forms, which some take for the others.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TEMPLATE = Path(__file__).with_name("templates") / "report.typ"


@dataclass(frozen=True, slots=True)
class Page:
    """What a PDF says."""

    title: str
    subtitle: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Cell]]
    note: str


def csv_line(cells: Sequence[Cell]) -> bytes:
    """Write one line of CSV; text that would be a formula gets an apostrophe in front."""
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue().encode("utf-8", "replace")


async def pdf(page: Page) -> bytes:
    """Typeset a page; the same data give the same bytes. Raises `Rejected`."""
    data = {
        "title": page.title,
        "subtitle": page.subtitle,
        "columns": list(page.columns),
        "numeric": list(page.numeric),
        "rows": [["" if cell is None else str(cell) for cell in row] for row in page.rows],
        "note": page.note,
    }
    return await asyncio.to_thread(_typeset, json.dumps(data))


def _typeset(data: str) -> bytes:
    import typst  # 8 MB, for the one queue that makes reports

    try:
        # fonts of the machine would make the bytes depend on it
        return typst.compile(
            _TEMPLATE, root=_TEMPLATE.parent, ignore_system_fonts=True, format="pdf", sys_inputs={"data": data}
        )
    except typst.TypstError as error:
        raise Rejected(f"the report cannot be typeset: {error.message}", code="typeset") from error


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
