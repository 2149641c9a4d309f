"""The architecture document, cut into what has to be kept: headings, rows, points, sentences, code."""

from __future__ import annotations

from typing import NamedTuple

from tests.docs.pages import ROOT

DOCUMENT = ROOT / "docs" / "source" / "job-architecture.pt.md"


class Unit(NamedTuple):
    """One thing that the document says."""

    heading: str
    text: str


def units() -> list[Unit]:
    """Cut the document; a heading itself is a unit without text."""
    found: list[Unit] = []
    heading, head = "", True
    block: list[str] | None = None
    for line in DOCUMENT.read_text("utf-8").splitlines():
        text = line.strip()
        if text.startswith("```"):
            if block is None:
                block = []
            else:
                found.append(Unit(heading, f"`{block[0]}`"))
                block = None
        elif block is not None:
            block.append(text)
        elif text.startswith("#"):
            heading, head = text.lstrip("# "), True
            found.append(Unit(heading, ""))
        elif text.startswith("|"):
            if not head and not text.startswith("|--"):
                found.append(Unit(heading, " · ".join(cell.strip() for cell in text.strip("|").split("|"))))
            head = False
        elif text and text != "---":
            found.append(Unit(heading, text.lstrip("->0123456789. ")))
    return found
