"""The texts of the project, cut into what tests look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# without the document that was given: it is not ours to keep in order
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "source")]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One block of code, and where it stands."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0][:60]}"


def blocks(language: str) -> list[Block]:
    return [
        Block(page.relative_to(ROOT).as_posix(), language, text)
        for page in PAGES
        for found, text in _FENCE.findall(page.read_text("utf-8"))
        if found == language
    ]


def commands(program: str) -> list[str]:
    """Every line of a shell block that calls this program."""
    lines = (line.split("#")[0].strip() for block in blocks("sh") for line in block.text.splitlines())
    return sorted({line for line in lines if line.split(" ")[0] == program})


def table_cells(page: str, column: int) -> set[str]:
    """What stands between backticks in one column of all tables of a page."""
    text = (ROOT / page).read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    return {name for row in rows if len(row) > column for name in re.findall(r"`([^`]+)`", row[column])}
