"""Carries the outbox of another database into the queue: offer, carry, taken, one batch a round.

One process at a time does it for a source; it keeps the turn while it can. After any error it forgets everything and
takes a new turn, because a message of the old one may still be on its way: the turn is what such a message fails on.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue.queries.carry import Carry
from pgqueue.wake import ready_channel
from pgqueue.worker.link import Link
from pgqueue.worker.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.settings import Settings

_BATCH = 1_000
_TERM = timedelta(seconds=3)  # a process that dies with the turn costs the others at most this long
_RENEW = 1.0  # seconds after which an idle carrier shows that it is alive
_BUSY, _IDLE = 0.005, 0.1  # seconds between rounds
_ELSEWHERE = 1.0  # another process has the turn
_AWAY = 3  # rounds that fail in a row until a database counts as away
_NET = 60.0  # seconds between looks from zero
_FROM_ZERO: dict[str, Any] = {"seen": [0, 0], "top": 0, "gaps": "{}"}


class Carrier:
    """One source: one tick is one round."""

    def __init__(self, source: str, links: tuple[Link, Link], queries: Carry, on_ready: Callable[[str], None]) -> None:
        """``links``: to the source and to the queue. ``on_ready`` hears at once of queues that got jobs."""
        self.name = source
        self._source, self._queue = links
        self._queries = queries
        self._channel = ready_channel(queries.schema)
        self._on_ready = on_ready
        self._pause = _IDLE
        self._renewed = 0.0
        self._net = time.monotonic() + _NET
        self.role = ""
        self.found_empty = 0.0
        """When the last look at the source began, if it found nothing there."""
        self._failures = 0
        self.forget()

    def forget(self) -> None:
        """Know nothing: the next round takes a new turn and reads from the durable marks."""
        self.token: int | None = None
        self._state: dict[str, Any] | None = None
        self._done: list[int] = []

    async def renew(self) -> None:
        """Open both connections anew."""
        await self._source.renew()
        await self._queue.renew()

    async def tick(self) -> float:
        """Carry one batch; returns how long to wait for the next."""
        began = time.monotonic()
        try:
            if self.token is None and not await self._take_over():
                self.found_empty = 0.0 if await self._source.run(self._queries.outbox_left()) else began
                return _ELSEWHERE
            pause = await self._round()
        except BaseException:
            self.forget()
            self._failures += 1  # whoever waits for the end of the work does not wait for a database that is away
            self.found_empty = began if self._failures >= _AWAY else 0.0
            raise
        self._failures = 0
        return pause

    async def _take_over(self) -> bool:
        """Take the turn; what the process before left in the ledger and not in the source is done."""
        answer = await self._carry("[]")
        if answer["turn"] is None:
            return False
        left = await self._queue.run(self._queries.ledger(self.name))
        if left:
            open_still = await self._source.run(self._queries.still_offered(left))
            self._done = sorted(set(left).difference(open_still))
        return True

    async def _round(self) -> float:
        began = time.monotonic()
        if time.monotonic() > self._net:  # a row that a mark has passed would never be carried
            self._state, self._net = _FROM_ZERO, time.monotonic() + _NET
        offered = await self._source.run(self._queries.offer(self._state, batch=_BATCH))
        self.found_empty = 0.0 if offered.ids else began
        if offered.ids or self._done or time.monotonic() - self._renewed > _RENEW:
            answer = await self._carry(offered.rows)
            if answer["turn"] is None:
                self.forget()
                return _ELSEWHERE
            if answer.get("busy"):
                return _BUSY
            await self._take([job_id for job_id in offered.ids if job_id not in answer["left"]])
            for queue in answer["woken"]:
                self._on_ready(queue)
            if answer["left"]:
                return _IDLE  # with the state of before, they are offered again
        self._state = offered.state
        self._pause = _BUSY if offered.ids else min(self._pause * 2, _IDLE)
        return 0 if len(offered.ids) >= _BATCH else self._pause

    async def _carry(self, rows: str) -> dict[str, Any]:
        answer = await self._queue.run(
            self._queries.carry(
                self.name, token=self.token, term=_TERM, offered=rows, done=self._done, wake=self._channel
            )
        )
        self.token, self.role, self._done = answer["turn"], answer["role"], []
        self._renewed = time.monotonic()
        return answer

    async def _take(self, ids: list[int]) -> None:
        """Delete in the source what is committed in the queue; only then may the ledger forget it."""
        if ids:
            await self._source.run(self._queries.taken(ids))
        self._done = ids


class Carriers:
    """The carriers of one process: one for each source that the settings name."""

    def __init__(self, url: str, settings: Settings, on_ready: Callable[[str], None]) -> None:
        """Open nothing."""
        queries = Carry(settings.schema_name)
        self._links = [
            (Link(source_url, settings, f"carry {name}"), Link(url, settings, f"carry {name}"))
            for name, source_url in settings.sources.items()
        ]
        self._carriers = [
            Carrier(name, links, queries, on_ready) for name, links in zip(settings.sources, self._links, strict=True)
        ]
        self.loops = [Loop(f"carry {each.name}", each.tick, on_lost=each.renew) for each in self._carriers]

    @property
    def turns(self) -> list[tuple[str, int]]:
        """The roles that this process has, and what proves it."""
        return [(each.role, each.token) for each in self._carriers if each.token is not None]

    def are_empty(self, since: float) -> bool:
        """Whether every source was looked at after this moment, and had nothing to carry."""
        return all(each.found_empty > since for each in self._carriers)

    async def close(self) -> None:
        """Close all connections."""
        for links in self._links:
            for link in links:
                await link.close()
