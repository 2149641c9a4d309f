"""Where log lines leave the process: a reader that has stopped reading must not stop the process."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from json import dumps
from select import PIPE_BUF
from typing import TextIO

_MOST = 4 * 1024 * 1024  # characters that wait for the reader; what comes beyond is dropped and counted
_PATIENCE = 2.0  # seconds in which the last lines are written at the end
_STANDARD = (1, 2)
# stdout and stderr are written to by a thread; any other stream (a file, a test's) may be closed by its owner, and its
# number given to something else, so the caller writes there himself.


class Outlet:
    """Takes text at once, writes it in order."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``; the thread begins with the first line."""
        self._stream = stream
        self._fd = _standard(stream)
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._parts: list[str] = []
        self._held = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Take text of whole lines."""
        if self._fd is None:
            return self._stream.write(text)
        with self._lock:
            if self._held + len(text) > _MOST:
                self._dropped += text.count("\n")
                return len(text)
            self._parts.append(text)
            self._held += len(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pgqueue log", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        self._woken.set()
        return len(text)

    def flush(self) -> None:
        """Nothing waits here longer than the reader makes it."""
        if self._fd is None:
            self._stream.flush()

    def close(self) -> None:
        """Wait until everything is written, but not for ever."""
        deadline = time.monotonic() + _PATIENCE
        while self._held and time.monotonic() < deadline:
            self._woken.set()
            time.sleep(0.002)

    def _work(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            self._take_and_write()

    def _take_and_write(self) -> None:
        with self._lock:
            parts, self._parts = self._parts, []
            dropped, self._dropped = self._dropped, 0
        text = "".join(parts)
        told = _told(dropped) if dropped else ""
        with contextlib.suppress(OSError):  # nobody reads any more
            _write_all(self._fd or 2, (text + told).encode("utf-8", "backslashreplace"))
        with self._lock:
            self._held -= len(text)
            if self._dropped:
                self._woken.set()


def _told(lines: int) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return dumps({"event": "logs.dropped", "level": "warning", "lines": lines, "timestamp": now}) + "\n"


def _write_all(fd: int, data: bytes) -> None:
    """Write whole lines, as many as a pipe takes at once: lines of several processes must not run into each other."""
    view, start = memoryview(data), 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + PIPE_BUF) + 1 or data.find(b"\n", start) + 1 or len(data)
        while start < end:
            start += os.write(fd, view[start:end])


def _standard(stream: TextIO) -> int | None:
    try:
        fd = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    return fd if fd in _STANDARD else None
