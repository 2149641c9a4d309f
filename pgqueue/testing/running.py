"""One run of one job, by the worker's own runner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pgqueue.context import Context, chosen_context
from pgqueue.db import Query
from pgqueue.errors import InvalidJob
from pgqueue.outcome import Claimed, Continue, Settlement
from pgqueue.queries.lifecycle import Lifecycle
from pgqueue.telemetry import Telemetry
from pgqueue.testing.records import Ran, told
from pgqueue.worker.runner import Kind, Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.app import App
    from pgqueue.job import Job
    from pgqueue.outcome import Outcome
    from pgqueue.telemetry import Samples
    from pgqueue.testing.ground import Ground
    from pgqueue.worker.context import JobContext

SOMEBODY = ("organization-in-test", "user-in-test")


class _Onlooker:
    """Keeps what the runner tells of the last run."""

    settlement: Settlement | None = None

    def started(self, _job: Claimed, /) -> None:
        self.settlement = None

    def settled(self, _job: Claimed, settlement: Settlement, _seconds: float, /) -> None:
        self.settlement = settlement

    def lease_lost(self, job: Claimed) -> None:
        """Nothing: a run without settlement says it."""

    def crashed(self, job: Claimed) -> None:
        """Nothing: the kit runs jobs in its own process."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Nothing: the kit does it itself."""

    def missed(self, schedule: str, ticks: int) -> None:
        """Nothing: the kit fires no schedules."""

    def sampled(self, samples: Samples | None) -> None:
        """Nothing: figures are metrics."""


class OneRunner(Runner):
    """The worker's runner for one job after the other; remembers what the job returned or raised."""

    def __init__(self, app: App, ground: Ground, lifecycle: Lifecycle) -> None:
        """Run on ``ground``."""
        self._onlooker = _Onlooker()
        super().__init__(app, app.settings, ground, lifecycle, Telemetry([self._onlooker]))
        self._result: Any = None

    async def _call(
        self, kind: Kind, job: Job, ctx: JobContext, task: asyncio.Task[Any]
    ) -> Outcome | BaseException | None:
        self._result = await super()._call(kind, job, ctx, task)
        return self._result  # type: ignore[no-any-return]  # what the runner returns

    async def run_once(self, claimed: Claimed) -> tuple[Ran, Settlement | None]:
        """Run under the timeout of the kind; the settlement is None where ``ctx.transaction()`` has settled."""
        self._result = None
        task = asyncio.create_task(self.run(claimed))
        kind = self.kinds.get(claimed.kind)
        await asyncio.wait({task}, timeout=kind.timeout if kind else None)
        if not task.done() and claimed.id in self.running:
            self.running[claimed.id].stop("timeout")
        settlement, follower = await task
        result, said = self._result, self._onlooker.settlement
        fields = {"moment": "lost"} if said is None else told(said)
        raised = result if isinstance(result, BaseException) else None
        return (
            Ran(
                claimed.id,
                claimed.kind,
                claimed.attempt,
                error=raised,
                outcome=None if raised else result,
                follower=follower if isinstance(result, Continue) else None,
                **fields,
            ),
            settlement,
        )


class _Rowless(Lifecycle):
    """Settles a job that has no row: `ctx.transaction()` completes, and nothing is lost."""

    def settle(self, settlements: Sequence[Settlement]) -> Query[list[int]]:
        del settlements
        return Query("SELECT 0::bigint WHERE false", lambda rows: [row[0] for row in rows])


async def run_without_row(
    app: App,
    ground: Ground,
    handle: object,
    job: Job,
    *,
    attempt: int,
    max_attempts: int | None,
    context: Context | None,
    job_id: int,
) -> Ran:
    """Run ``job`` as a worker would; return what it returned or raised, and how it would be settled."""
    if app.kinds.get(job.kind) is not type(job):
        raise InvalidJob(f"the App does not list {type(job).__name__}; give pgqueue_app an App that does")
    chosen = chosen_context(context) or Context(*SOMEBODY)
    row, own = app.queue._row(job, chosen, (None, None))  # noqa: SLF001 - the arguments as they would be stored
    most = max_attempts or row.max_attempts
    if not 1 <= attempt <= most:
        raise InvalidJob(f"attempt is {attempt}; {job.kind} has attempts 1 to {most}")
    runner = OneRunner(app, ground, _Rowless(app.settings.schema_name))
    runner.handle = handle
    try:
        ran, _ = await runner.run_once(
            Claimed(
                id=job_id,
                queue=row.queue,
                kind=row.kind,
                payload_version=row.payload_version,
                args=own.args,
                organization_id=row.organization_id,
                user_id=row.user_id,
                correlation_id=str(row.correlation_id),
                trace_id=str(uuid4()),
                attempt=attempt,
                max_attempts=most,
                claims=attempt,
                crashes=0,
                refusals=0,
                cancel_requested=False,
                doomed=None,
                enqueued=0.0,
                waited=0.0,
                expires_in=row.max_age.total_seconds(),
            )
        )
    finally:
        runner.close()
    return ran
