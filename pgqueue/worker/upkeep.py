"""What one process does for all: rescue, the nets, days of finished jobs, prune, samples. Bounded and resumable."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import structlog

from pgqueue.queries.control import Control
from pgqueue.queries.schedules import Recurrence
from pgqueue.queries.supervision import Supervision
from pgqueue.wake import ready_channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pgqueue.queries.upkeep import Upkeep
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.link import Link

_PAGE = 1_000
_PAGES = 20
_NET = 60.0  # seconds between searches from position 0
_DAYS_AHEAD = 9
_KEEP_MERGED = timedelta(days=7)


class Rescue:
    """Finds jobs whose lease is over without an index of its own (claims must stay HOT updates).

    All running jobs stand below V, so each range of positions is read once; what was seen running there is followed by
    key. A process that takes the role over begins at position 0.
    """

    def __init__(self, link: Link, queries: Upkeep, settings: Settings, telemetry: Telemetry) -> None:
        """Nothing read yet."""
        self._link = link
        self._queries = queries
        self._settings = settings
        self._telemetry = telemetry
        self._read_to: dict[tuple[str, int], int] = {}
        self._seen: set[tuple[int, int]] = set()
        self._again = time.monotonic() + _NET

    def forget(self) -> None:
        """Start again from position 0: another process had the role, or a statement failed."""
        self._read_to = {}
        self._seen = set()

    async def tick(self) -> int:
        """Look once; returns how many jobs were rescued."""
        now = time.monotonic()
        if now >= self._again:  # the net: a row that V had to pass (pinned) may be claimed below what was read
            self._read_to, self._again = {}, now + _NET
        try:
            fences = sorted(self._seen | await self._search())
            self._seen = set()
            rescued = 0
            for start in range(0, len(fences), _PAGE):
                alive = await self._link.run(self._queries.lost_leases(fences[start : start + _PAGE]))
                self._seen.update((job_id, claims) for job_id, claims, _ in alive)
                lost = [(job_id, claims) for job_id, claims, over in alive if over]
                if lost:
                    rescued += await self._rescue(lost)
        except BaseException:
            self.forget()  # what was seen and not followed would never be looked at again
            raise
        return rescued

    async def _search(self) -> set[tuple[int, int]]:
        """Read the positions that V has passed since; bounded, the rest follows with the next tick."""
        found: set[tuple[int, int]] = set()
        for mark in await self._link.run(self._queries.marks()):
            low, size = self._read_to.get((mark.queue, mark.lane), 0), _PAGE
            for _ in range(_PAGES):
                page = await self._link.run(self._queries.running_between(mark, low, size))
                found.update((job_id, claims) for job_id, claims, _ in page)
                if len(page) < size:
                    low = mark.v
                    break
                # Positions may tie: the last one is read again, and a page of one position needs a longer page.
                size = size * 2 if page[-1][2] == low else size
                low = page[-1][2]
            self._read_to[mark.queue, mark.lane] = low
        return found

    async def _rescue(self, lost: list[tuple[int, int]]) -> int:
        query = self._queries.rescue(
            lost, max_crashes=self._settings.max_crashes, backoff=1.0 / self._settings.time_scale
        )
        rescued = await self._link.run(query)
        for job in rescued:
            self._telemetry.rescued(job.id, job.queue, job.kind, job.crashes)
        return len(rescued)


class Keeper:
    """The upkeep role and its rounds."""

    def __init__(
        self, link: Link, queries: Upkeep, settings: Settings, telemetry: Telemetry, dead_kept: Mapping[str, float]
    ) -> None:
        """Nothing is due before the first tick. ``dead_kept``: kinds whose dead letters go after so many seconds."""
        self._dead_kept = dead_kept
        self._link = link
        self._queries = queries
        self._telemetry = telemetry
        self._supervision = Supervision(settings.schema_name)
        self._wake = partial(Control(settings.schema_name).wake, ready_channel(settings.schema_name))
        self._rescue = Rescue(link, queries, settings, telemetry)
        self._recurrence = Recurrence(settings.schema_name)
        self._lease = settings.lease.total_seconds()
        # Leases are looked at often enough that a job of a dead worker waits at most a third of a lease longer.
        self._every = min(10.0, self._lease / 3)
        self._term = timedelta(seconds=self._every * 3)
        self.token: int | None = None
        """What proves that the role is ours."""
        self._due: dict[str, float] = {}

    async def tick(self) -> float:
        """Do what is due; returns how long to sleep."""
        token = await self._link.run(self._queries.take_turn(self.token, self._term))
        if token is None:
            if self.token is not None:
                self.token = None
                self._telemetry.sampled(None)
            return self._every
        if self.token is None:
            self._rescue.forget()
        self.token = token
        await self._rescue.tick()
        for name, every, work in (
            ("resume", 0.0, self._resume),
            ("sample", 5.0, self._sample),
            ("unpark", 10.0, self._unpark),
            ("prune", 30.0, self._prune),
            ("schedules", 30.0, self._schedules),
            ("sweep", 60.0, self._sweep),
            ("days", 600.0, self._days),
        ):
            await self._round(name, every, work)
        return self._every

    async def _round(self, name: str, every: float, work: Callable[[], Awaitable[None]]) -> None:
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + every
        try:
            await work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.CheckViolation) as error:
            # Somebody is in the way; the next round tries again.
            structlog.get_logger("pgqueue").info("upkeep.postponed", round=name, error=str(error).strip())

    async def _resume(self) -> None:
        """Open queues again that were paused for a while."""
        for queue in await self._link.run(self._supervision.resume_due()):
            await self._link.run(self._wake(queue))

    async def _sample(self) -> None:
        samples = await self._link.run(self._queries.sample())
        self._telemetry.sampled(samples)
        await self._link.run(self._queries.notification_usage())

    async def _unpark(self) -> None:
        """Free what workers of an older version parked, as long as a worker lives that knows it."""
        await self._link.run(self._queries.unpark_known(timedelta(seconds=self._lease)))

    async def _prune(self) -> None:
        queries = self._queries
        prunes = (
            queries.prune(),
            queries.prune_merged(_KEEP_MERGED),
            queries.prune_periods(),
            queries.prune_once(),
            queries.prune_locks(),
            queries.prune_shares(),
            queries.prune_rates(),
        )
        for query in prunes:
            pruned = [0] * _PAGE
            while len(pruned) >= _PAGE:
                pruned = await self._link.run(query)
        if self._dead_kept:
            await self._prune_dead()
        await self._link.run(self._queries.prune_workers(timedelta(seconds=max(60.0, self._lease * 4))))
        await self._link.run(self._queries.prune_breakers(timedelta(days=7)))

    async def _schedules(self) -> None:
        await self._link.run(self._recurrence.keep())

    async def _prune_dead(self) -> None:
        pruned: list[int] = [0] * _PAGE
        while len(pruned) >= _PAGE:
            pruned = await self._link.run(self._queries.prune_dead(self._dead_kept))
            if pruned:  # these are gone without anybody having looked: at least the log says so
                structlog.get_logger("pgqueue").warning("upkeep.dead_pruned", jobs=len(pruned), jobIds=pruned[:20])

    async def _sweep(self) -> None:
        """Look below the marks; whatever is found there was missed, and is worth a warning."""
        found = 0
        for lane, ids in await self._link.run(self._queries.sweep_outbox()):
            moved: list[int] = await self._link.run(self._queries.sweep_move(lane, ids))
            found += moved[0]
        below: list[int] = await self._link.run(self._queries.sweep_ready())
        found += len(below)
        await self._link.run(self._queries.sweep_waiting())
        lost: list[int] = await self._link.run(self._queries.sweep_permits())
        found += len(lost)
        await self._link.run(self._queries.sweep_held())
        if found:
            structlog.get_logger("pgqueue").error("sweep.found", jobs=found, hint="a mark was wrong; please report it")

    async def _days(self) -> None:
        await self._link.run(self._queries.make_days(_DAYS_AHEAD))
        await self._link.run(self._queries.drop_days())
