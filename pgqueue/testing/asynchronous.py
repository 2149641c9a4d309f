"""The queue in asynchronous tests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.errors import ConfigurationError
from pgqueue.queue import AsyncQueue
from pgqueue.testing import expect
from pgqueue.testing.ground import AsyncGround
from pgqueue.testing.tester import MOST, WITHIN, Tester, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from datetime import datetime, timedelta

    from pgqueue.app import App
    from pgqueue.context import Context
    from pgqueue.db import AsyncTransaction
    from pgqueue.duration import Duration
    from pgqueue.job import Job
    from pgqueue.queries.testing import Waiting
    from pgqueue.testing.records import Drained, Ran

T = TypeVar("T")
J = TypeVar("J", bound="Job")


class AsyncQueueTester(Tester):
    """The verbs of `QueueTester`, awaited."""

    def __init__(self, app: App, conn: AsyncTransaction) -> None:
        """Work on ``conn``: an AsyncSession, an AsyncConnection or psycopg's, in a transaction that is rolled back."""
        super().__init__(app, AsyncGround(conn))

    async def enqueued(self) -> list[Waiting]:
        """Return what this test enqueued and what has not run."""
        return await self._waiting()

    async def assert_enqueued(
        self,
        kind: type[J],
        fields: Mapping[str, Any] | None = None,
        *,
        where: Callable[[J], bool] | None = None,
        queue: str | None = None,
        run_at: datetime | None = None,
        run_in: Duration | None = None,
        within: timedelta = WITHIN,
        count: int | None = None,
    ) -> list[J]:
        """Return the jobs of this kind that are enqueued; see `QueueTester.assert_enqueued`."""
        expected = expect.Expected(kind, fields or {}, where, queue, run_at, run_in, within)
        return expect.checked(expected, await self.enqueued(), count)

    async def refute_enqueued(
        self,
        kind: type[J],
        fields: Mapping[str, Any] | None = None,
        *,
        where: Callable[[J], bool] | None = None,
        queue: str | None = None,
    ) -> None:
        """Raise AssertionError if there is such a job."""
        expect.refused(expect.Expected(kind, fields or {}, where, queue), await self.enqueued())

    async def drain(self, *, with_scheduled: bool = False, most: int = MOST, raise_errors: bool = True) -> Drained:
        """Run what is enqueued and what that enqueues, to the end; see `QueueTester.drain`."""
        return await self._worker.drain(with_scheduled=with_scheduled, most=most, raise_errors=raise_errors)

    async def perform(
        self,
        job: Job,
        *,
        attempt: int = 1,
        max_attempts: int | None = None,
        context: Context | None = None,
        job_id: int = 1,
    ) -> Ran:
        """Run one job that has no row; see `QueueTester.perform`."""
        return await self._perform(job, attempt=attempt, max_attempts=max_attempts, context=context, job_id=job_id)

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Run what is enqueued by the App's queue at once: before `enqueue` returns; what is for later stays."""
        if not isinstance(self.app.queue, AsyncQueue):
            raise ConfigurationError("the App enqueues by a Queue, which cannot wait for jobs; take queue_tester")

        def wrapped(verb: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
            async def enqueue(*args: Any, **options: Any) -> T:
                result = await verb(*args, **options)
                if not self._worker.busy:
                    await self.drain()
                return result

            return enqueue

        with replaced(self.app.queue, wrapped):
            yield

    async def now(self) -> datetime:
        """Return the database's time, as the queue sees it in this test."""
        return await self._clock.now()

    async def advance(self, by: Duration) -> None:
        """Let so much time pass by the database's clock, in this test's transaction."""
        await self._clock.put(self._clock.further(by))

    async def at(self, moment: datetime) -> None:
        """Make it this moment by the database's clock; it goes on from there."""
        await self._clock.put(self._clock.until(moment, await self.now()))
