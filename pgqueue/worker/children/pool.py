"""The warm children of a worker: as many as jobs need at once, kept for the next ones."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue.worker.children.channel import Answer, Channel
from pgqueue.worker.children.child import Boot
from pgqueue.worker.children.forks import ChildUnavailable, Fork, Forks

if TYPE_CHECKING:
    from pgqueue.outcome import Claimed
    from pgqueue.settings import Settings

_START = 60.0  # seconds in which the handle has to be opened
_GRACE = 0.5  # seconds between "please stop" and SIGKILL
_GOING = 0.4  # seconds in which a killed process is gone, unless the kernel is busy with it
_LINGER = 10.0  # seconds in which a child that is let go closes its handle
_IDLE = 60.0  # seconds after which an idle child is let go


class ChildProcess:
    """One child, from the fork to its end."""

    def __init__(self, forks: Forks, fork: Fork, channel: Channel) -> None:
        """It is about to start; see `ready`."""
        self._forks = forks
        self._fork = fork
        self._channel = channel
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen())
        self.idle_since = 0.0

    @property
    def alive(self) -> bool:
        """It has not ended as far as anybody knows."""
        return not self._fork.code.done() and not self._listening.done()

    async def ready(self, boot: bytes) -> None:
        """Wait until it can take a job. Raises ChildUnavailable."""
        self._channel.send({"boot": boot.hex()})
        try:
            async with asyncio.timeout(_START):
                message = await self._messages.get()
        except TimeoutError:
            message = {"failed": f"the handle was not opened within {_START:g} s"}
        if message is None or "failed" in message:
            why = message["failed"] if message else f"it ended with code {await self.code()}"
            raise ChildUnavailable(f"a child process could not start: {why}")

    async def begin(self, claimed: Claimed) -> bool:
        """Hand a job over; False: the child was gone before it began."""
        self._channel.send({"run": list(claimed)})
        return await self._messages.get() is not None

    async def answer(self) -> Answer | None:
        """Wait for the outcome; None: the process ended, or spoke nonsense."""
        message = await self._messages.get()
        if message is None:
            return None
        try:
            return Answer.unpack(message["answer"])
        except (KeyError, TypeError, IndexError):  # a job wrote into our channel
            return None

    async def stop(self, why: str) -> Answer | None:
        """Ask the run to end, then kill; returns its answer if it gave one in time. The process is gone afterwards."""
        self._channel.send({"stop": why})
        answer = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                answer = await self.answer()
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOING):
                await self.code()
        return answer

    async def code(self) -> int | None:
        """Wait for the end of the process; returns its exit code, None if nobody knows it."""
        try:
            async with asyncio.timeout(_START):
                return await asyncio.shield(self._fork.code)
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            if self._fork.code.cancelled():
                return None
            raise

    def kill(self) -> None:
        """End it and everything that it started."""
        self._forks.kill(self._fork.number)

    def close(self) -> None:
        """Let it go: an idle child ends by itself when its channel is closed, and is killed if it does not."""
        self._listening.cancel()
        self._channel.close()
        asyncio.get_running_loop().call_later(_LINGER, self.kill)

    async def _listen(self) -> None:
        message: dict[str, Any] | None = {}
        while message is not None:
            message = await self._channel.read()
            self._messages.put_nowait(message)


class Children:
    """Starts children and keeps the idle ones."""

    def __init__(self, app_path: str, url: str, settings: Settings) -> None:
        """Start nothing."""
        self._app_path = app_path
        self._boot = pickle.dumps(Boot(url, settings))
        self._idle: list[ChildProcess] = []
        self._forks: Forks | None = None
        self._told = ""

    async def take(self, *, fresh: bool) -> ChildProcess:
        """Return a child that waits for a job; ``fresh``: one that has run none. Raises ChildUnavailable."""
        while self._idle and not fresh:
            child = self._idle.pop()
            if child.alive:
                return child
            child.close()
        try:
            child = await self._start()
        except ChildUnavailable as error:
            if str(error) != self._told:
                self._told = str(error)
                structlog.get_logger("pgqueue").error("child.failed", error=str(error))
            raise
        self._told = ""
        return child

    def keep(self, child: ChildProcess) -> None:
        """Take back a child that can run another job; those that nobody needed for long may go."""
        child.idle_since = now = time.monotonic()
        while self._idle and now - self._idle[0].idle_since > _IDLE:
            self._idle.pop(0).close()
        self._idle.append(child)

    async def warm(self) -> None:
        """Have the application imported before the first job comes."""
        with contextlib.suppress(ChildUnavailable):
            await self._template().ready()

    async def close(self) -> None:
        """End them all."""
        for child in self._idle:
            child.close()
        self._idle.clear()
        forks, self._forks = self._forks, None
        if forks is not None:
            await forks.close()

    def _template(self) -> Forks:
        if self._forks is None or not self._forks.alive:
            if self._forks is not None:
                self._forks.reap()
            self._forks = Forks(self._app_path)
        return self._forks

    async def _start(self) -> ChildProcess:
        forks = self._template()
        await forks.ready()
        fork = forks.fork()
        child = ChildProcess(forks, fork, await Channel.over(fork.sock))
        try:
            await child.ready(self._boot)
        except BaseException:
            child.kill()
            child.close()
            raise
        return child
