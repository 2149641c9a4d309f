"""Jobs that end in a way nobody meant: nothing of it is silent, and nothing counts as done that has not run."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from pgqueue import Continue, Death, Job, JobContext, Retry, Snooze
from pgqueue.errors import DatabaseUnavailable
from tests.worker.harness import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
NOTE = sa.text("INSERT INTO effects (note) VALUES (:note)")
ONCE = Retry(1, [])


def plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that knows nothing of `async` and generators."""

    def hides(*args: Any) -> Any:
        return method(*args)

    return functools.update_wrapper(hides, method, assigned=("__doc__",), updated=())


class Hidden(Job):
    @plain
    async def run(self, app: Any, ctx: JobContext) -> Any:
        async with ctx.transaction() as session:
            await session.execute(NOTE, {"note": "ran"})


class HiddenFailure(Job):
    @plain
    async def run(self, app: Any, ctx: JobContext) -> Any:
        raise ValueError("boom")


class HiddenGenerator(Job):
    @plain
    def run(self, app: Any, ctx: JobContext) -> Any:
        yield "nothing of this runs"


async def test_an_async_run_behind_a_plain_decorator_runs(hall: Hall) -> None:
    hall.serve(Hidden, HiddenFailure)
    good, bad = hall.enqueue(Hidden()), hall.enqueue(HiddenFailure())
    await hall.work_off()
    assert (hall.state(good), hall.effects()) == ("completed", ["ran"])
    assert (hall.state(bad), hall.job(bad, "errors")[0]["error"]) == ("waiting", "boom")


async def test_a_generator_behind_a_plain_decorator_is_a_failed_attempt(hall: Hall) -> None:
    hall.serve(HiddenGenerator)
    job_id = await hall.run_one(HiddenGenerator())
    assert hall.state(job_id) == "waiting"
    assert "a value of type generator; return None or" in hall.job(job_id, "errors")[0]["error"]


class Late(Job):
    """Says something after it has completed."""

    async def run(self, app: Any, ctx: JobContext) -> Any:
        async with ctx.transaction():
            pass
        return app(ctx)


@pytest.mark.parametrize("late", [Continue(Hidden()), Snooze("5s"), "text"], ids=repr)
async def test_an_outcome_after_completion_is_told_loudly(hall: Hall, late: object) -> None:
    hall.serve(Late, Hidden)
    hall.app.handle = Box(lambda _ctx: late)
    with logs() as lines:
        job_id = await hall.run_one(Late())
    (line,) = [line for line in lines if line["event"] == "job.outcome_ignored"]
    assert (line["log_level"], line["jobId"], line["outcome"]) == ("error", str(job_id), type(late).__name__)
    assert "inside the block with queue.enqueue(session, …)" in line["hint"]
    assert hall.states() == ["completed"]


async def test_none_after_completion_is_as_it_should_be(hall: Hall) -> None:
    hall.serve(Hidden)
    with logs() as lines:
        await hall.run_one(Hidden())
    assert not [line for line in lines if line["event"] == "job.outcome_ignored"]


class Cut(Job, max_age="1h", retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(NOTE, {"note": "written"})
            app()


class CutInThread(Job, max_age="1h", retry=ONCE):
    def run(self, app: Any, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(NOTE, {"note": "written"})
            app()


@pytest.mark.parametrize("kind", [Cut, CutInThread])
async def test_a_database_that_goes_away_spends_no_attempt(hall: Hall, kind: type[Job]) -> None:
    cuts: list[int] = []

    def cut_once() -> None:
        if not cuts:
            cuts.append(1)
            with psycopg.connect(hall.url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state = 'idle in transaction'"
                )

    hall.serve(kind)
    hall.app.handle = Box(cut_once)
    job_id = await hall.run_one(kind())
    assert (hall.state(job_id), hall.job(job_id, "attempt"), hall.effects()) == ("waiting", 0, [])
    assert 3 < hall.wait_of(job_id) <= 5
    hall.advance(timedelta(seconds=6))
    await hall.work_off()
    assert (hall.state(job_id), hall.effects()) == ("completed", ["written"])


class Away(Job, max_age="1h", retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        raise DatabaseUnavailable("away")


async def test_a_database_that_stays_away_is_bounded_by_max_age(hall: Hall) -> None:
    hall.serve(Away)
    job_id = await hall.run_one(Away())
    assert hall.state(job_id) == "waiting"
    hall.advance(timedelta(minutes=61))
    await hall.work_off()
    assert (hall.state(job_id), hall.dead(job_id, "reason")) == ("dead", "expired")


class Tired(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> Any:
        return Snooze("2d")


async def test_a_requeued_job_does_not_snooze_for_ever(hall: Hall) -> None:
    hall.serve(Tired)
    job_id = await hall.run_one(Tired())
    hall.conn.execute("UPDATE pgqueue.jobs SET expires_at = pgqueue.clock(), run_at = pgqueue.clock()")
    await hall.work_off()
    assert hall.dead(job_id, "reason") == "expired"
    hall.queue.requeue(hall.conn, [job_id], by="ann")
    await hall.work_off()
    for day in (2, 4, 6):
        assert hall.state(job_id) == "waiting"
        hall.advance(timedelta(days=day, seconds=30))
        await hall.work_off()
    assert (hall.state(job_id), hall.dead(job_id, "reason")) == ("dead", "expired")


async def test_a_job_from_sql_without_max_age_has_a_week(hall: Hall) -> None:
    hall.serve(MuchLater)
    hall.conn.execute("SELECT pgqueue.enqueue('MuchLater', '{}', 'acme', 'ann')")
    await hall.work_off()
    assert hall.states() == ["dead"]


class Impatient(Job, max_age="1d"):
    async def run(self, app: Any, ctx: JobContext) -> Any:
        return Snooze("2d")


class MuchLater(Job):
    async def run(self, app: Any, ctx: JobContext) -> Any:
        return Snooze("8d")


class Needy(Job, retry=ONCE):
    """Its `on_dead` needs another database."""

    async def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")

    async def on_dead(self, app: Any, session: AsyncSession, death: Death) -> None:
        app()


class NeedyInThread(Job, retry=ONCE):
    def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")

    def on_dead(self, app: Any, session: Session, death: Death) -> None:
        app()


@pytest.mark.parametrize("kind", [Needy, NeedyInThread])
@pytest.mark.parametrize("error", [psycopg.OperationalError("the other database is down"), TimeoutError()], ids=repr)
async def test_an_on_dead_whose_need_is_away_is_tried_three_times(
    hall: Hall, kind: type[Job], error: BaseException
) -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise error

    hall.serve(kind)
    hall.app.handle = Box(fail)
    with logs() as lines:
        job_id = await hall.run_one(kind())
    assert (hall.state(job_id), len(calls)) == ("dead", 3)
    assert len([line for line in lines if line["event"] == "job.on_dead_failed"]) == 1


class HiddenHook(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")

    @plain
    async def on_dead(self, app: Any, session: Any, death: Death) -> None:
        """Would never be awaited."""


async def test_an_async_on_dead_behind_a_plain_decorator_is_told(hall: Hall) -> None:
    hall.serve(HiddenHook)
    with logs() as lines:
        job_id = await hall.run_one(HiddenHook())
    (line,) = [line for line in lines if line["event"] == "job.on_dead_failed"]
    assert (hall.state(job_id), "let its decorator be an `async def`" in line["error"]) == ("dead", True)


def logs() -> Any:
    """Look at log lines; a worker of these tests configures no logging of its own."""
    return capture_logs()
