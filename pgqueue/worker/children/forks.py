"""The worker's side of the template: asks it for children, hears of their ends."""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
from typing import NamedTuple

from pgqueue.errors import PgqueueError
from pgqueue.worker.children.template import MODULE

_START = 60.0  # seconds in which the application has to be imported
_PATIENCE = 2.0  # seconds in which the template has to go


class ChildUnavailable(PgqueueError):
    """No child process could be started; the job is not to blame."""


class Fork(NamedTuple):
    """A child that was asked for."""

    number: int
    sock: socket.socket
    code: asyncio.Future[int]
    """Its exit code, negative for a signal; None if the template died, too."""


class Forks:
    """One template process, from its start to its end."""

    def __init__(self, app_path: str) -> None:
        """Start it; see `ready`."""
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)  # noqa: FBT003 - Python's own signature
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        boot = pickle.dumps((app_path, sys.path))
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._codes: dict[int, asyncio.Future[int]] = {}
        self._count = 0
        self._buffer = b""
        self.alive = True
        self._loop.add_reader(self._control.fileno(), self._hear)
        self._send(len(boot).to_bytes(4, "big") + boot)

    async def ready(self) -> None:
        """Wait until it can fork. Raises ChildUnavailable."""
        try:
            async with asyncio.timeout(_START):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self._lose(f"the application was not imported within {_START:g} s")
            raise ChildUnavailable("no child process: the import of the application takes too long") from None

    def fork(self) -> Fork:
        """Ask for a child."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - Python's own signature
        self._count += 1
        code = self._codes[self._count] = self._loop.create_future()
        with theirs:
            self._send(f"fork {self._count}\n".encode(), theirs)
        return Fork(self._count, ours, code)

    def kill(self, number: int) -> None:
        """Have a child and all that it started killed."""
        if number in self._codes:
            self._send(f"kill {number}\n".encode())

    def reap(self) -> None:
        """Take note of its end, which has come."""
        self._process.kill()
        self._process.wait()

    async def close(self) -> None:
        """End the template, which kills what is left of its children."""
        self._lose("the worker ends")
        deadline = self._loop.time() + _PATIENCE
        while self._process.poll() is None and self._loop.time() < deadline:  # noqa: ASYNC110 - Popen has no event
            await asyncio.sleep(0.01)
        self.reap()

    def _send(self, data: bytes, end: socket.socket | None = None) -> None:
        if not self.alive:
            return
        try:
            socket.send_fds(self._control, [data], [end.fileno()] if end else [])
        except OSError as error:  # gone; or it does not listen, which is as bad
            self._lose(str(error))

    def _hear(self) -> None:
        try:
            data = self._control.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose("the process that children are forked from is gone")
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            verb, _, rest = line.decode("utf-8", "replace").partition(" ")
            if verb == "ready" and not self._ready.done():
                self._ready.set_result(None)
            elif verb == "failed":
                self._lose(rest)
            elif verb == "ended":
                number, _, code = rest.partition(" ")
                _resolve(self._codes.pop(int(number), None), int(code))

    def _lose(self, why: str) -> None:
        """Let go of it: whoever waits hears that nothing comes any more."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        if not self._ready.done():
            self._ready.set_exception(ChildUnavailable(f"no child process: {why}"))
            self._ready.exception()  # somebody may have stopped waiting for it
        for code in self._codes.values():
            code.cancel()
        self._codes.clear()


def _resolve(future: asyncio.Future[int] | None, code: int) -> None:
    if future is not None and not future.done():
        future.set_result(code)
