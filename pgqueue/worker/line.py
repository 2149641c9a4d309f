"""The line between a supervisor and a worker process: JSON, one message a line, over a socket that never blocks."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_VARIABLE = "PGQUEUE_LINE"
"""The number of the descriptor that a supervisor hands to its processes."""


class Line:
    """One end. What the other end does not take yet is kept."""

    def __init__(self, end: socket.socket) -> None:
        """Take the socket over."""
        self._socket = end
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's name for it has no keyword
        self._out = b""
        self._in = b""

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    @property
    def is_free(self) -> bool:
        """Everything was taken: who does not listen for a while shall not find a heap of old messages."""
        return not self._out

    def send(self, message: Mapping[str, Any]) -> None:
        """Send as soon as there is room."""
        self._out += json.dumps(message).encode() + b"\n"
        self._flush()

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come; sends what is still to be sent."""
        self._flush()
        try:
            while found := self._socket.recv(65_536):
                self._in += found
        except OSError:  # nothing more has come, or the other end is gone: who it is sees to that
            pass
        *lines, self._in = self._in.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _flush(self) -> None:
        try:
            while self._out:
                self._out = self._out[self._socket.send(self._out) :]
        except BlockingIOError:
            return  # the rest goes with the next look
        except OSError:
            self._out = b""  # nobody is there any more


def pair() -> tuple[Line, socket.socket]:
    """Return a supervisor's end, and the one to hand on."""
    ours, theirs = socket.socketpair()
    return Line(ours), theirs


def inherited() -> Line | None:
    """Return the line to the supervisor that started this process, if one did."""
    number = os.environ.pop(LINE_VARIABLE, None)  # what jobs start shall not speak for this process
    if number is None:
        return None
    os.set_inheritable(int(number), False)  # noqa: FBT003 - it has no keyword
    return Line(socket.socket(fileno=int(number)))
