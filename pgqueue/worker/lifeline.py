"""No process outlives the one that started it: the kernel's word where there is one, the end of a pipe everywhere."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_orphaned = threading.Event()
VARIABLE = "PGQUEUE_LIFELINE"
"""Names the file descriptor of the pipe whose other end the supervisor holds."""


@cache
def lifeline() -> int:
    """Return the reading end of a pipe that only this process can write to: when it is gone, readers hear the end."""
    reading, _ = os.pipe()
    return reading


def die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send a signal when ``parent`` ends (Linux), also to code that holds the interpreter."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew
        os.kill(os.getpid(), number)


def watch_lifeline(on_end: Callable[[], None]) -> None:
    """Call ``on_end``, from a thread, when the supervisor is gone; nothing without a supervisor."""
    fd = os.environ.pop(VARIABLE, "")
    if not fd:
        return
    os.set_inheritable(int(fd), False)  # noqa: FBT003 - Python's own signature

    def wait() -> None:
        while os.read(int(fd), 1):
            pass
        _orphaned.set()
        on_end()

    threading.Thread(target=wait, name="pgqueue lifeline", daemon=True).start()


def is_orphan() -> bool:
    """Whether the supervisor is gone, as `watch_lifeline` has heard."""
    return _orphaned.is_set()
