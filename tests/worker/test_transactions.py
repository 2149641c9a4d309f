"""Effects and the completion of a job in one commit; burials with what belongs to them in another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from pgqueue import Dead, Job, JobContext, Retry
from pgqueue.errors import ConfigurationError, PgqueueError
from tests.conftest import sqlalchemy_address
from tests.worker.harness import Box, until

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
NOTE = sa.text("INSERT INTO effects (note) VALUES (:note)")
ONCE = Retry(1, [])


class Effect(Job, retry=Retry(2, ["60s"])):
    """Writes; then does what the handle says."""

    async def run(self, app: Any, ctx: JobContext) -> Any:
        async with ctx.transaction() as session:
            await session.execute(NOTE, {"note": "written"})
            if app:
                await app(ctx)
        return Dead("ignored: the job is complete")


class EffectInThread(Job, retry=Retry(2, ["60s"])):
    def run(self, app: Any, ctx: JobContext) -> Any:
        with ctx.transaction() as session:
            session.execute(NOTE, {"note": "written"})
            if app:
                asyncio.run(app(ctx))
        return Dead("ignored: the job is complete")


BOTH = pytest.mark.parametrize("kind", [Effect, EffectInThread])


@BOTH
async def test_effects_and_completion_are_one_commit(hall: Hall, kind: type[Job]) -> None:
    hall.serve(kind)
    job_id = await hall.run_one(kind())
    assert hall.state(job_id) == "completed"
    assert hall.effects() == ["written"]
    assert [moment for _, moment in hall.ledger.moments] == ["complete"]
    together = hall.conn.execute(
        "SELECT (SELECT xmin FROM effects) = (SELECT xmin FROM ONLY pgqueue.finished_jobs_later)"
        " OR (SELECT xmin::text FROM effects) IN (SELECT xmin::text FROM pgqueue.finished_jobs)"
    ).fetchone()
    assert together == (True,)


@BOTH
async def test_an_exception_rolls_both_back(hall: Hall, kind: type[Job]) -> None:
    async def fail(_ctx: JobContext) -> None:
        raise ValueError("boom")

    hall.serve(kind)
    hall.app.handle = Box(fail)
    job_id = await hall.run_one(kind())
    assert (hall.state(job_id), hall.effects()) == ("waiting", [])


@BOTH
async def test_a_lost_lease_rolls_the_effects_back(hall: Hall, kind: type[Job]) -> None:
    async def lose(_ctx: JobContext) -> None:
        with psycopg.connect(hall.url, autocommit=True) as other:  # as if it had been given to somebody else
            other.execute("UPDATE pgqueue.jobs SET claims = claims + 1")

    hall.serve(kind)
    hall.app.handle = Box(lose)
    job_id = hall.enqueue(kind())
    async with hall.working():
        await until(lambda: hall.ledger.lost)
    assert hall.ledger.lost == [job_id]
    assert hall.effects() == []
    assert hall.state(job_id) == "running"


class Twice(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(NOTE, {"note": "first"})
        with pytest.raises(PgqueueError, match="already complete"):
            ctx.transaction()
        raise ValueError("too late to fail")


async def test_a_job_completes_once(hall: Hall) -> None:
    hall.serve(Twice)
    job_id = await hall.run_one(Twice())
    assert (hall.state(job_id), hall.effects()) == ("completed", ["first"])


class Again(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        with pytest.raises(ValueError, match="first try"):
            async with ctx.transaction():
                raise ValueError("first try")
        async with ctx.transaction() as session:
            await session.execute(NOTE, {"note": "second try"})


async def test_a_transaction_that_failed_may_be_tried_again(hall: Hall) -> None:
    hall.serve(Again)
    job_id = await hall.run_one(Again())
    assert (hall.state(job_id), hall.effects()) == ("completed", ["second try"])


async def test_an_engine_on_another_database_is_refused(hall: Hall, empty_database_url: str) -> None:
    elsewhere = sa.create_engine(sqlalchemy_address(empty_database_url))
    hall.serve(EffectInThread, Effect, engine=elsewhere)
    job_id = await hall.run_one(EffectInThread())
    elsewhere.dispose()
    assert hall.state(job_id) == "waiting"
    assert hall.job(job_id, "errors")[0]["type"] == ConfigurationError.__name__
    assert "on two" in hall.job(job_id, "errors")[0]["error"]


async def test_each_engine_is_checked(hall: Hall, engine: sa.Engine, empty_database_url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    elsewhere = create_async_engine(sqlalchemy_address(empty_database_url))
    hall.serve(EffectInThread, Effect, engine=engine, async_engine=elsewhere)
    good, bad = hall.enqueue(EffectInThread()), hall.enqueue(Effect())
    await hall.work_off()
    await elsewhere.dispose()
    assert (hall.state(good), hall.state(bad)) == ("completed", "waiting")


async def test_the_apps_own_engines_are_used_and_left_open(hall: Hall, engine: sa.Engine, aengine: AsyncEngine) -> None:
    hall.serve(EffectInThread, Effect, engine=engine, async_engine=aengine)
    hall.enqueue(EffectInThread())
    hall.enqueue(Effect())
    await hall.work_off()
    assert hall.states() == ["completed"] * 2
    assert isinstance(engine.pool, sa.QueuePool)
    assert engine.pool.checkedin() == 1
