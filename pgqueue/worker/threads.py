"""Threads for plain functions. One that ignores its end is counted, and another takes its place, up to a bound."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.worker.running import Leftovers

_LOOK = 0.01  # seconds between looks at threads that end


class _Call:
    """A function in a thread: whether it began and ended."""

    __slots__ = ("active", "over")

    def __init__(self) -> None:
        self.active = self.over = False


class Threads:
    """Runs functions; what they raise comes back as a value, because a future refuses some of it (StopIteration)."""

    def __init__(self, size: int, leftovers: Leftovers) -> None:
        """Open threads as they are needed: ``size`` beside those that are left over."""
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="pgqueue job")
        self._leftovers = leftovers

    async def call(self, job_id: int, patience: float, function: Callable[..., Any], *args: object) -> Any:
        """Call and return what it returns or raises; when the caller is cancelled, the thread may go on."""
        call = _Call()
        run = copy_context().run
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, run, self._called, call, function, *args
            )
        except asyncio.CancelledError:
            if call.active:
                self._leftovers.add(call, job_id, patience)
                if call.over:  # it ended in this moment
                    self._leftovers.end(call)
            raise

    async def warm(self) -> None:
        """Open one thread."""
        await asyncio.get_running_loop().run_in_executor(self._pool, int)

    async def ended(self) -> None:
        """Wait until none goes on."""
        while len(self._leftovers):  # noqa: ASYNC110 - threads cannot set an event of this loop when it may be closed
            await asyncio.sleep(_LOOK)

    def close(self) -> None:
        """Let the threads go; one that ignores its end dies with the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _called(self, call: _Call, function: Callable[..., Any], *args: object) -> Any:
        call.active = True
        try:
            return function(*args)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is a failed attempt, SystemExit too
            return error
        finally:
            call.over = True
            self._leftovers.end(call)
