"""Endings that are more than one statement, on the connection of a test."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from pgqueue.db import run
from pgqueue.worker.burial import Burial, _context, _decoded

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from pgqueue.job import Death, Job
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.worker.runner import Kind


class TestBurial(Burial):
    """Buries and follows as the worker does; an `on_dead` that raises is told instead of logged alone."""

    __test__ = False
    error: BaseException | None = None
    """What the last `on_dead` raised."""

    async def bury(self, claimed: Claimed, settlement: Settlement, kind: Kind | None) -> bool:
        """Bury with `on_dead` and listeners; without the hook if it raises."""
        self.error = None
        try:
            return await self._bury(claimed, settlement, kind, with_hook=True)
        except BaseException as error:  # noqa: BLE001 - the hook is the application's
            self.error = error
            return await self._bury(claimed, settlement, kind, with_hook=False)


class SyncBurial(TestBurial):
    """Everything in a Session: the test's connection is synchronous."""

    async def follow(self, claimed: Claimed, settlement: Settlement, job: Job) -> bool:
        """Complete the job and enqueue the one that follows."""
        with self._engines.session() as session:
            if run(session, self._lifecycle.settle([settlement])):
                return False
            self._queue.enqueue(session, job, context=_context(claimed))
            session.commit()
        return True

    async def _bury(self, claimed: Claimed, settlement: Settlement, kind: Kind | None, *, with_hook: bool) -> bool:
        job = _decoded(claimed, kind) if with_hook and kind and kind.on_dead else None
        if job is not None:
            if inspect.iscoroutinefunction(kind.on_dead):  # type: ignore[union-attr]  # job says there is a kind
                await self._engines.async_session()  # says why not
            return self._bury_here(claimed, settlement, kind, job)
        with self._engines.session() as session:
            if run(session, self._lifecycle.settle([settlement])):
                return False
            self._tell(session, claimed, settlement, kind)
            session.commit()
        return True


class AsyncBurial(TestBurial):
    """Everything in an AsyncSession, an `on_dead` that is a `def` too."""

    async def _bury(self, claimed: Claimed, settlement: Settlement, kind: Kind | None, *, with_hook: bool) -> bool:
        job = _decoded(claimed, kind) if with_hook and kind and kind.on_dead else None
        async with await self._engines.async_session() as session:
            return await self._bury_async(session, claimed, settlement, kind, job)

    async def _hook(self, job: Job, session: AsyncSession, death: Death, kind: Kind | None) -> None:
        if inspect.iscoroutinefunction(job.on_dead):  # type: ignore[attr-defined]  # it has one
            await super()._hook(job, session, death, kind)
        else:
            await session.run_sync(lambda inner: job.on_dead(self.handle, inner, death))  # type: ignore[attr-defined]  # it has one
