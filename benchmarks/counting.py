"""What the jobs call: they count themselves where the harness can look without asking. Runs in workers only."""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from pathlib import Path

from benchmarks.peer import FOLDER

GATE, PINGS, SUFFIX = "gate", "pings", ".count"
PING = struct.Struct("<qd")
_lock = threading.Lock()
_counter: memoryview | None = None
_pings: int | None = None


def done(jobs: int = 1) -> None:
    """Count what was run. The first job of a process waits until all processes have one: they begin together."""
    global _counter  # noqa: PLW0603 - one file for each process
    with _lock:  # workers with threads
        if _counter is None:
            _counter = _open_counter()
            _wait_for_gate()
        _counter[0] += jobs


def started(number: int) -> None:
    """Tell that ping ``number`` runs, by the clock that all processes of one machine share."""
    global _pings  # noqa: PLW0603 - the same
    now = time.monotonic()
    if _pings is None:
        _pings = os.open(_folder() / PINGS, os.O_WRONLY)
    os.write(_pings, PING.pack(number, now))


def _folder() -> Path:
    return Path(os.environ[FOLDER])


def _open_counter() -> memoryview:
    path = _folder() / f"{os.getpid()}{SUFFIX}"
    path.with_suffix(".new").write_bytes(bytes(8))
    with path.with_suffix(".new").open("r+b") as file:
        counter = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
    path.with_suffix(".new").rename(path)
    return counter


def _wait_for_gate() -> None:
    gate = _folder() / GATE
    while not gate.exists():
        time.sleep(0.001)
