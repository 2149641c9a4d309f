"""The queue in tests that are not asynchronous."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.errors import ConfigurationError
from pgqueue.queue import Queue
from pgqueue.testing import expect
from pgqueue.testing.ground import SyncGround
from pgqueue.testing.tester import MOST, WITHIN, Tester, finished, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from pgqueue.app import App
    from pgqueue.context import Context
    from pgqueue.db import SyncTransaction
    from pgqueue.duration import Duration
    from pgqueue.job import Job
    from pgqueue.queries.testing import Waiting
    from pgqueue.testing.records import Drained, Ran

T = TypeVar("T")
J = TypeVar("J", bound="Job")


class QueueTester(Tester):
    """The queue inside the transaction of a test: nothing is committed, everything is rolled back with the test."""

    def __init__(self, app: App, conn: SyncTransaction) -> None:
        """Work on ``conn``: a Session, a Connection or psycopg's connection, in a transaction that is rolled back."""
        if not isinstance(app.queue, Queue):
            raise ConfigurationError("the App enqueues by an AsyncQueue; take the fixture async_queue_tester")
        super().__init__(app, SyncGround(conn))

    def enqueued(self) -> list[Waiting]:
        """Return what this test enqueued and what has not run."""
        return finished(self._waiting())

    def assert_enqueued(
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
        """Return the jobs of this kind that are enqueued and have not run; there must be ``count`` (None: any).

        Args:
            kind: the class.
            fields: arguments that they have.
            where: something else that holds for them.
            queue: where they go.
            run_at: when they are due.
            run_in: how long after they were enqueued they are due.
            within: by how much those two may differ.
            count: how many there must be.

        Raises:
            AssertionError: with what is enqueued, and the nearest miss.

        """
        expected = expect.Expected(kind, fields or {}, where, queue, run_at, run_in, within)
        return expect.checked(expected, self.enqueued(), count)

    def refute_enqueued(
        self,
        kind: type[J],
        fields: Mapping[str, Any] | None = None,
        *,
        where: Callable[[J], bool] | None = None,
        queue: str | None = None,
    ) -> None:
        """Raise AssertionError if there is such a job."""
        expect.refused(expect.Expected(kind, fields or {}, where, queue), self.enqueued())

    def drain(self, *, with_scheduled: bool = False, most: int = MOST, raise_errors: bool = True) -> Drained:
        """Run what is enqueued and what that enqueues, to the end.

        Args:
            with_scheduled: also what waits for later (retries too), as if its time had come, in the order of time.
            most: runs after which it must have ended.
            raise_errors: raise what a job raises, after it was settled; else it is in ``Drained.errors``.

        """
        return finished(self._worker.drain(with_scheduled=with_scheduled, most=most, raise_errors=raise_errors))

    def perform(
        self,
        job: Job,
        *,
        attempt: int = 1,
        max_attempts: int | None = None,
        context: Context | None = None,
        job_id: int = 1,
    ) -> Ran:
        """Run one job that has no row; returns what it returned or raised, and how a worker would settle it."""
        return finished(self._perform(job, attempt=attempt, max_attempts=max_attempts, context=context, job_id=job_id))

    @contextmanager
    def inline(self) -> Iterator[None]:
        """Run what is enqueued by the App's queue at once: before `enqueue` returns; what is for later stays."""
        queue: Any = self.app.queue

        def wrapped(verb: Callable[..., T]) -> Callable[..., T]:
            def enqueue(*args: Any, **options: Any) -> T:
                result = verb(*args, **options)
                if not self._worker.busy:
                    self.drain()
                return result

            return enqueue

        with replaced(queue, wrapped):
            yield

    def now(self) -> datetime:
        """Return the database's time, as the queue sees it in this test."""
        return finished(self._clock.now())

    def advance(self, by: Duration) -> None:
        """Let so much time pass by the database's clock, in this test's transaction."""
        finished(self._clock.put(self._clock.further(by)))

    def at(self, moment: datetime) -> None:
        """Make it this moment by the database's clock; it goes on from there."""
        finished(self._clock.put(self._clock.until(moment, self.now())))
