"""How much memory the demo and everything it started hold, as the kernel says it."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY = 1.0  # seconds
_PROC = Path("/proc")
_SHARE = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
_RESIDENT = re.compile(rb"^VmRSS:\s+(\d+) kB", re.MULTILINE)


def descendants(root: int) -> set[int]:
    """Return a process and all that descend from it; nothing where the system has no ``/proc``."""
    parents = dict(_parents())
    found, new = set[int](), {root} & parents.keys()
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in new} - found
    return found


class Memory:
    """Measures the process tree of this process from a thread of its own, all the time."""

    def __init__(self) -> None:
        self.peak = 0
        """The largest sum that was seen, in bytes."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, sum(map(held, descendants(os.getpid()))))
            if self._over.wait(_EVERY):
                return


def held(pid: int) -> int:
    """Return the bytes that a process holds: its part of pages that others share, if we may see that, else all."""
    for name, pattern in (("smaps_rollup", _SHARE), ("status", _RESIDENT)):
        try:
            found = pattern.search((_PROC / str(pid) / name).read_bytes())
        except OSError:  # it has ended, or we may not look
            continue
        if found:
            return int(found[1]) * 1024
    return 0


def _parents() -> Iterator[tuple[int, int]]:
    if not _PROC.is_dir():
        return
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text("utf-8", "replace")
            except OSError:
                continue
            yield int(entry.name), int(stat.rpartition(")")[2].split()[1])
