"""What a tester for synchronous and one for asynchronous tests share."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, contextmanager
from contextvars import copy_context
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pgqueue.errors import ConfigurationError
from pgqueue.testing import faults
from pgqueue.testing.clock import TransactionClock
from pgqueue.testing.ground import Ground, NoGround
from pgqueue.testing.inline import InlineWorker
from pgqueue.testing.running import run_without_row
from pgqueue.worker.start import open_handle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

    from pgqueue.app import App
    from pgqueue.context import Context
    from pgqueue.job import Job
    from pgqueue.queries.testing import Waiting
    from pgqueue.testing.records import Ran

T = TypeVar("T")
J = TypeVar("J", bound="Job")
MOST = 1_000
WITHIN = timedelta(seconds=5)


class Tester:
    """What both share."""

    def __init__(self, app: App, ground: Ground) -> None:
        """Send nothing yet."""
        self.app = app
        self._worker = InlineWorker(app, ground)
        self._ground = ground
        self._clock = TransactionClock(ground, app.settings.schema_name)

    def close(self) -> None:
        """Let the threads go."""
        self._worker.close()

    def crash_after_claim(self, kind: type[Job], times: int = 1) -> AbstractContextManager[None]:
        """Let the worker die after its next claims of this kind: the lease ends, the job is rescued, a crash counts."""
        return self._worker.crash_after_claim(kind, times)

    def lose_lease(self, kind: type[Job], times: int = 1) -> AbstractContextManager[None]:
        """Let another worker claim the job before it begins to run: the run cannot settle, the other one runs it."""
        return self._worker.lose_lease(kind, times)

    def fail(self, kind: type[Job], times: int = 1, error: BaseException | None = None) -> AbstractContextManager[None]:
        """Let the next runs of this kind raise, before they do anything."""
        return faults.fail(kind, times, error)

    async def _waiting(self) -> list[Waiting]:
        return await self._ground.run(self._worker.testing.waiting(self._worker.mine))

    async def _perform(
        self, job: Job, *, attempt: int, max_attempts: int | None, context: Context | None, job_id: int
    ) -> Ran:
        return await performed(self.app, self._ground, job, attempt, max_attempts, context, job_id)


def perform(
    app: App,
    job: Job,
    *,
    attempt: int = 1,
    max_attempts: int | None = None,
    context: Context | None = None,
    job_id: int = 1,
) -> Ran:
    """Run one job without any database; see `QueueTester.perform`."""
    return finished(performed(app, NoGround(), job, attempt, max_attempts, context, job_id))


async def performed(  # noqa: PLR0917 - those of `perform`
    app: App,
    ground: Ground,
    job: Job,
    attempt: int,
    max_attempts: int | None,
    context: Context | None,
    job_id: int,
) -> Ran:
    """Run one job that has no row, with a handle made for it."""
    async with AsyncExitStack() as stack:
        handle = await open_handle(app.load_handle(), stack)
        ran = await run_without_row(
            app, ground, handle, job, attempt=attempt, max_attempts=max_attempts, context=context, job_id=job_id
        )
    ground.refresh()
    if isinstance(ran.error, ConfigurationError):
        raise ran.error
    return ran


@contextmanager
def replaced(queue: Any, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Wrap the enqueueing verbs of one queue object."""
    for verb in ("enqueue", "enqueue_many"):
        setattr(queue, verb, wrapped(getattr(queue, verb)))
    try:
        yield
    finally:
        for verb in ("enqueue", "enqueue_many"):
            delattr(queue, verb)  # the class's again


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work from code that is not, also in the thread of a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    results: list[T] = []
    errors: list[BaseException] = []
    context = copy_context()

    def other() -> None:
        try:
            results.append(context.run(asyncio.run, work))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
