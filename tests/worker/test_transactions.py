"""Effects and the completion of a job in one commit; burials with what belongs to them in another."""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from pgqueue import Dead, Job, JobContext, Retry
from pgqueue.db import is_connection_lost
from pgqueue.errors import ConfigurationError, PgqueueError
from pgqueue.worker.engines import Engines
from tests.conftest import sqlalchemy_address
from tests.worker.harness import Box, until

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

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


IDLE_AT_MOST = "SELECT current_setting('idle_in_transaction_session_timeout')"
NOTE_IDLE = sa.text(f"INSERT INTO effects (note) {IDLE_AT_MOST}")


class Idle(Job, timeout="7s"):
    async def run(self, app: Any, ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(NOTE_IDLE)


class IdleInThread(Job, timeout="7s"):
    def run(self, app: Any, ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(NOTE_IDLE)


@pytest.mark.parametrize("kind", [Idle, IdleInThread])
@pytest.mark.parametrize(("default", "told"), [("0", "7s"), ("1h", "7s"), ("3s", "3s")])
async def test_a_transaction_may_be_idle_as_long_as_its_job_may_run(
    hall: Hall, kind: type[Job], default: str, told: str
) -> None:
    name = hall.conn.info.dbname
    hall.conn.execute(f"ALTER DATABASE \"{name}\" SET idle_in_transaction_session_timeout = '{default}'")
    hall.serve(kind)
    await hall.run_one(kind())
    hall.conn.execute(f'ALTER DATABASE "{name}" RESET idle_in_transaction_session_timeout')
    assert hall.effects() == [told]


MINE = sa.text("UPDATE effects SET note = 'mine'")


def let_others_have_it(hall: Hall) -> None:
    """Wait for the row, and get it although its owner rolls nothing back."""
    hall.conn.execute("SET lock_timeout = '10s'")
    hall.conn.execute("UPDATE effects SET note = 'theirs'")


async def test_a_process_that_is_frozen_in_a_transaction_loses_what_it_locked(hall: Hall) -> None:
    hall.conn.execute("INSERT INTO effects (note) VALUES ('free')")
    engines = Engines(hall.url, 1, None, None)
    with engines.session(0.05) as session:
        session.execute(MINE)
        let_others_have_it(hall)
        with pytest.raises(sa.exc.DBAPIError) as lost:
            session.execute(MINE)
    async with await engines.async_session(0.05) as other:
        await other.execute(MINE)
        let_others_have_it(hall)
        with pytest.raises(sa.exc.DBAPIError) as lost_too:
            await other.execute(MINE)
    await engines.close()
    assert hall.effects() == ["theirs"]
    for error in (lost.value.orig, lost_too.value.orig):
        assert error is not None
        assert is_connection_lost(error)  # no attempt is spent on it


@types.coroutine
def cancelled_at(moments: set[int], work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Do the work in a task that is cancelled whenever it waits for these times (1: the first)."""
    waits, answer, error = 0, None, None
    with contextlib.suppress(StopIteration):
        while True:
            waited_for = work.throw(error) if error else work.send(answer)
            waits, answer, error = waits + 1, None, None
            task = asyncio.current_task()
            if task and waits in moments:
                task.cancel()
            try:
                answer = yield waited_for
            except asyncio.CancelledError as cancelled:
                error = cancelled


class CancelledAtEachMoment(Job):
    """Is cancelled once and twice, ever later, until the transaction is through."""

    async def run(self, app: Any, ctx: JobContext) -> None:
        async def write() -> None:
            async with ctx.transaction() as session:
                await session.execute(NOTE, {"note": "written"})

        async def be_cancelled(moments: set[int]) -> None:
            await cancelled_at(moments, write())

        for first in range(1, 30):
            for moments in ({first}, {first, first + 1}):
                await (await ctx._engines.async_session()).close()  # the pool has a connection
                await asyncio.gather(asyncio.create_task(be_cancelled(moments)), return_exceptions=True)
                if ctx.completed:
                    return


async def test_a_cancellation_breaks_off_no_commit_and_no_rollback(
    hall: Hall, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", 0, raising=False)  # it waits as often as on a busy machine
    hall.serve(CancelledAtEachMoment)
    job_id = await hall.run_one(CancelledAtEachMoment())
    assert (hall.state(job_id), hall.effects()) == ("completed", ["written"])
    assert [record.message for record in caplog.records if record.name.startswith("sqlalchemy")] == []


async def test_connections_that_the_server_has_closed_meanwhile_are_replaced(hall: Hall) -> None:
    engines = Engines(hall.url, 1, None, None)
    for _ in range(2):
        with engines.session() as session:
            session.execute(NOTE, {"note": "sync"})
            session.commit()
        async with await engines.async_session() as other:
            await other.execute(NOTE, {"note": "async"})
            await other.commit()
        hall.conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query = 'COMMIT'"
        )
    await engines.close()
    assert hall.effects() == ["sync", "async"] * 2


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
