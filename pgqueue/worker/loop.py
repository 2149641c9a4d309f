"""The one skeleton of all that repeats: tick, sleep as the tick says or until woken, stop at a safe point."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog

from pgqueue.db import is_connection_lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SHORTEST, _LONGEST = 0.1, 10.0  # seconds between attempts after an error


class Loop:
    """Runs ``tick`` again and again; an error is logged once per change of its text and waited out with backoff."""

    def __init__(
        self, name: str, tick: Callable[[], Awaitable[float]], *, on_lost: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """``tick`` returns the seconds to sleep; ``on_lost`` makes a new connection."""
        self.name = name
        self._tick = tick
        self._on_lost = on_lost
        self._woken = asyncio.Event()
        self._stopping = False
        self._told = ""

    def wake(self) -> None:
        """End the sleep now."""
        self._woken.set()

    def stop(self) -> None:
        """Stop after the tick that runs; never in the middle of a statement."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Tick until stopped."""
        pause = _SHORTEST
        while not self._stopping:
            try:
                delay = await self._tick()
                pause = _SHORTEST
                self._told = ""
            except Exception as error:  # noqa: BLE001 - a loop outlives what its tick raises
                await self._survive(error)
                delay = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads reconnects, guards nothing
                pause = min(pause * 2, _LONGEST)
            await self._sleep(delay)

    async def _survive(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        lost = is_connection_lost(error)
        if text != self._told:
            self._told = text
            structlog.get_logger("pgqueue").warning("loop.failed", loop=self.name, error=text, reconnecting=lost)
        if lost and self._on_lost:
            try:
                await self._on_lost()
            except Exception as again:  # noqa: BLE001 - a loop outlives what its tick raises
                self._told = f"{type(again).__name__}: {again}"

    async def _sleep(self, delay: float) -> None:
        if delay > 0 and not self._stopping and not self._woken.is_set():
            try:
                async with asyncio.timeout(delay):
                    await self._woken.wait()
            except TimeoutError:
                pass
        elif delay <= 0:
            await asyncio.sleep(0)
        self._woken.clear()
