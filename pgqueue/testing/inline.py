"""A worker of one job at a time, inside the transaction of a test: relay, claim, run, settle by the real statements."""

from __future__ import annotations

from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg

from pgqueue.errors import ConfigurationError
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.queries.testing import Testing
from pgqueue.queries.upkeep import Upkeep
from pgqueue.testing.burials import AsyncBurial, SyncBurial
from pgqueue.testing.faults import Injected
from pgqueue.testing.ground import AsyncGround
from pgqueue.testing.records import Drained, Ran
from pgqueue.testing.running import OneRunner
from pgqueue.worker.start import open_handle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pgqueue.app import App
    from pgqueue.job import Job
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.testing.ground import Ground

_MANY = 10_000
_PATIENCE = "3s"


class InlineWorker:
    """Runs what a test has enqueued, and nothing else."""

    def __init__(self, app: App, ground: Ground) -> None:
        """Send nothing yet."""
        schema = app.settings.schema_name
        self.app = app
        self.ground = ground
        self.testing = Testing(schema)
        self.mine: set[int] = set()
        """The jobs of this test."""
        self.busy = False
        self._lifecycle, self._upkeep = Lifecycle(schema), Upkeep(schema)
        self._runner = OneRunner(app, ground, self._lifecycle)
        burial = AsyncBurial if isinstance(ground, AsyncGround) else SyncBurial
        self._burial = burial(app, ground, self._lifecycle, self._runner.threads)
        self._id, self._rival = uuid4(), uuid4()
        self._crashes: dict[str, int] = {}
        self._losses: dict[str, int] = {}

    def close(self) -> None:
        """Let the threads go."""
        self._runner.close()

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def crash_after_claim(self, kind: type[Job], times: int) -> Iterator[None]:
        """Let the worker die with the next claims of this kind."""
        with _counted(self._crashes, kind.kind, times):
            yield

    @contextmanager
    def lose_lease(self, kind: type[Job], times: int) -> Iterator[None]:
        """Let another worker claim the next jobs of this kind before they begin to run."""
        with _counted(self._losses, kind.kind, times):
            yield

    # ── from the outbox to the end ───────────────────────────────────────────────────────────────────────────────────

    async def drain(self, *, with_scheduled: bool, most: int, raise_errors: bool) -> Drained:
        """Run what is due until nothing is; with ``with_scheduled`` what waits for later too, in the order of time."""
        done = Drained()
        self.busy = True
        try:
            async with AsyncExitStack() as stack:
                self._runner.handle = self._burial.handle = await open_handle(self.app.load_handle(), stack)
                while claimed := await self._next(with_scheduled=with_scheduled):
                    for job in claimed:
                        if len(done.runs) >= most:
                            raise ConfigurationError(
                                f"drain stopped after {most} runs, the last of {job.kind}: does a job snooze or "
                                "enqueue itself for ever? If it has an end, give drain(most=…)"
                            )
                        done.runs.extend(await self._one(job))
                        self._raise(done.runs[-1].error, wanted=raise_errors)
        finally:
            self.busy = False
            self.ground.refresh()
        return done

    async def _next(self, *, with_scheduled: bool) -> list[Claimed]:
        """Claim one job of each queue, in the order of the queues; empty: nothing is left."""
        room = dict.fromkeys(self.app.queues(), 1)
        while True:
            await self.relay()
            await self.ground.run(self.testing.promote())
            claimed = await self.ground.run(self._lifecycle.claim(self._id, room, self.app.settings.lease))
            if mine := [job for job in claimed if job.id in self.mine]:
                return mine
            # What others left in this database is claimed until the rollback, and does not run.
            if not claimed and not (with_scheduled and await self._make_due(self.mine)):
                return []

    async def relay(self) -> None:
        """Move what this transaction enqueued into the queue."""
        await self.ground.run(self.testing.keep_relays_out())
        for lane, ids in await self.ground.run(self.testing.enqueued()):
            if unknown := await self.ground.run(self.testing.unknown_queues(lane, ids)):
                await self._add_queues(lane, ids, unknown)
            moved: list[int] = await self.ground.run(self.testing.relay(lane, ids))
            self.mine.update(moved)

    async def _add_queues(self, lane: int, ids: list[int], unknown: list[str]) -> None:
        """Make queues known in this transaction: another one that does the same would have to wait for its end."""
        (before,) = await self.ground.run(self.testing.patience())
        await self.ground.run(self.testing.wait_at_most(_PATIENCE))
        try:
            await self.ground.run(self.testing.add_queues(lane, ids))
        except psycopg.errors.LockNotAvailable:
            raise ConfigurationError(
                f"another test is making the queue {', '.join(unknown)} known, in a transaction that is still open; "
                "make the queues known before the tests: pgqueue.testing.prepare(url, app)"
            ) from None
        await self.ground.run(self.testing.wait_at_most(before))

    async def _make_due(self, ids: Collection[int]) -> bool:
        made: list[int] = await self.ground.run(self.testing.make_due(ids))
        return bool(made)

    async def _one(self, claimed: Claimed) -> list[Ran]:
        if _spend(self._crashes, claimed.kind):
            await self._rescue(claimed)
            return [Ran(claimed.id, claimed.kind, claimed.attempt, "crash")]
        rivals = await self._steal(claimed) if _spend(self._losses, claimed.kind) else []
        ran, settlement = await self._runner.run_once(claimed)
        if settlement is not None and not await self._settle(claimed, settlement, ran.follower):
            ran = replace(ran, moment="lost")
        elif self._burial.error is not None:
            ran = replace(ran, error=self._burial.error)
            self._burial.error = None
        return [ran, *[again for rival in rivals for again in await self._one(rival)]]

    async def _settle(self, claimed: Claimed, settlement: Settlement, follower: Job | None) -> bool:
        kind = self._runner.kinds.get(claimed.kind)
        if follower is not None:
            return await self._burial.follow(claimed, settlement, follower)
        if self._burial.concerns(settlement, kind):
            return await self._burial.bury(claimed, settlement, kind)
        return not await self.ground.run(self._lifecycle.settle([settlement]))

    async def _rescue(self, claimed: Claimed) -> None:
        """End the lease, then do what upkeep does."""
        await self.ground.run(self.testing.end_lease(claimed.id, claimed.claims))
        await self.ground.run(
            self._upkeep.rescue([(claimed.id, claimed.claims)], max_crashes=self.app.settings.max_crashes, backoff=0.0)
        )

    async def _steal(self, claimed: Claimed) -> list[Claimed]:
        """Let another worker rescue the job and claim it, with whatever else is ready in its queue."""
        await self._rescue(claimed)
        await self._make_due([claimed.id])
        await self.ground.run(self.testing.promote())
        room = {claimed.queue: _MANY}
        taken = await self.ground.run(self._lifecycle.claim(self._rival, room, self.app.settings.lease))
        return [job for job in taken if job.id in self.mine]

    @staticmethod
    def _raise(error: BaseException | None, *, wanted: bool) -> None:
        if error is not None and (
            isinstance(error, ConfigurationError) or (wanted and not isinstance(error, Injected))
        ):
            raise error


@contextmanager
def _counted(counts: dict[str, int], kind: str, times: int) -> Iterator[None]:
    counts[kind] = times
    try:
        yield
    finally:
        del counts[kind]


def _spend(counts: dict[str, int], kind: str) -> bool:
    if counts.get(kind, 0) <= 0:
        return False
    counts[kind] -= 1
    return True
