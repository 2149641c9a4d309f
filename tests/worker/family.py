"""Which process comes from which, as the kernel says it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def parents() -> dict[int, int]:
    """Every process that has not ended, and its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text("utf-8").rsplit(")", 1)[1].split()[:2]
        except (OSError, IndexError):
            continue
        if state not in "ZX":
            found[int(entry.name)] = int(parent)
    return found


def is_alive(pid: int) -> bool:
    """It has not ended (one that only waits to be reaped has)."""
    return pid in parents()


def children_of(pid: int) -> list[int]:
    return [child for child, parent in parents().items() if parent == pid]


def templates(worker: int | None = None) -> list[int]:
    """The process that the children of a worker are forked from."""
    return [pid for pid in children_of(worker or os.getpid()) if "children.template" in command(pid)]


def executors(worker: int | None = None) -> list[int]:
    """The processes that run jobs for a worker."""
    return [child for pid in templates(worker) for child in children_of(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8")
    except OSError:
        return ""


def noted_pids(notes: Iterable[str], word: str) -> list[int]:
    """The processes of jobs that noted themselves by this word."""
    return [int(found[1]) for note in notes if (found := re.match(rf"{word} (\d+)", note))]
