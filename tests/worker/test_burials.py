"""Burials: the dead letter, `on_dead` and the listeners in one commit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from pgqueue import Context, Death, Job, JobContext, JobFailed, Retry
from tests.worker.harness import Box, until

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
NOTE = sa.text("INSERT INTO effects (note) VALUES (:note)")
ONCE = Retry(1, [])


class Doomed(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")

    async def on_dead(self, app: Any, session: AsyncSession, death: Death) -> None:
        await session.execute(NOTE, {"note": _told(death)})
        if app:
            await app(None)


class DoomedSoon(Doomed, timeout="200ms"):
    """Its `on_dead` may take as long."""


class DoomedInThread(Job, retry=ONCE):
    def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")

    def on_dead(self, app: Any, session: Session, death: Death) -> None:
        session.execute(NOTE, {"note": _told(death)})
        if app:
            asyncio.run(app(None))


class Quiet(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")


def _told(death: Death) -> str:
    return f"{death.kind} {death.queue} {death.reason} {death.error} {death.attempts} {death.context.organization_id}"


class Heard(JobFailed):
    async def run(self, app: Any, ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            note = f"heard {self.job_kind} {self.reason} {self.error} {self.attempts} {ctx.organization_id}"
            await session.execute(NOTE, {"note": note})


class HeardToo(JobFailed, retry=ONCE):
    def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("a listener dies, too")


MORTALS = pytest.mark.parametrize("kind", [Doomed, DoomedInThread])


@MORTALS
async def test_on_dead_writes_in_the_burying_transaction(hall: Hall, kind: type[Job]) -> None:
    hall.serve(kind)
    job_id = await hall.run_one(kind())
    assert hall.state(job_id) == "dead"
    assert hall.effects() == [f"{kind.__name__} default attempts boom 1 acme"]
    row = hall.conn.execute("SELECT (SELECT xmin::text FROM effects) = (SELECT xmin::text FROM pgqueue.dead_jobs)")
    assert row.fetchone() == (True,)


@MORTALS
@pytest.mark.parametrize(
    "error", [ValueError("no"), StopIteration(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr
)
async def test_an_on_dead_that_raises_does_not_keep_the_job_alive(
    hall: Hall, kind: type[Job], error: BaseException
) -> None:
    async def fail(_ctx: None) -> None:
        raise error

    hall.serve(kind, listeners=[Heard])
    hall.app.handle = Box(fail)
    job_id = await hall.run_one(kind())
    assert hall.state(job_id) == "dead"
    assert hall.effects() == [f"heard {kind.__name__} attempts boom 1 acme"]


async def test_an_on_dead_that_hangs_does_not_keep_the_job_alive(hall: Hall) -> None:
    async def hang(_ctx: None) -> None:
        await asyncio.Event().wait()

    hall.serve(DoomedSoon, listeners=[Heard])
    hall.app.handle = Box(hang)
    job_id = await hall.run_one(DoomedSoon())
    assert hall.state(job_id) == "dead"
    assert hall.effects() == ["heard DoomedSoon attempts boom 1 acme"]


@MORTALS
async def test_a_link_that_breaks_in_on_dead_is_not_its_fault(hall: Hall, kind: type[Job]) -> None:
    tries = []

    async def cut_once(_ctx: None) -> None:
        tries.append(1)
        if len(tries) == 1:
            with psycopg.connect(hall.url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state = 'idle in transaction'"
                )

    hall.serve(kind)
    hall.app.handle = Box(cut_once)
    job_id = await hall.run_one(kind())
    assert (hall.state(job_id), len(tries)) == ("dead", 2)
    assert hall.effects() == [f"{kind.__name__} default attempts boom 1 acme"]


async def test_each_listener_gets_one_job_and_a_dead_listener_tells_nobody(hall: Hall) -> None:
    hall.serve(Quiet, listeners=[Heard, HeardToo])
    context = Context("acme", "ann")
    hall.enqueue(Quiet(), context=context)
    await hall.work_off()
    rows = hall.conn.execute("SELECT kind, state, correlation_id FROM pgqueue.all_jobs ORDER BY id").fetchall()
    assert rows == [
        ("Quiet", "dead", context.correlation_id),
        ("Heard", "completed", context.correlation_id),
        ("HeardToo", "dead", context.correlation_id),
    ]
    assert hall.effects() == ["heard Quiet attempts boom 1 acme"]


async def test_a_doomed_job_is_buried_with_its_on_dead_and_does_not_run(hall: Hall) -> None:
    hall.serve(Doomed)
    job_id = hall.enqueue(Doomed(), delay="1h")
    async with hall.working():
        await until(lambda: hall.state(job_id) == "waiting")
        hall.conn.execute("UPDATE pgqueue.jobs SET crashes = 3, doomed = 'crashed', run_at = pgqueue.clock()")
        await until(lambda: hall.state(job_id) == "dead")
    assert hall.ledger.started_jobs == []
    assert hall.dead(job_id, "reason") == "crashed"
    (note,) = hall.effects()
    assert note.startswith("Doomed default crashed 3 workers were lost")
    assert hall.ledger.moments == [(job_id, "bury")]


async def test_a_burial_whose_lease_is_lost_changes_nothing(hall: Hall) -> None:
    async def lose(_ctx: JobContext) -> None:
        with psycopg.connect(hall.url, autocommit=True) as other:
            other.execute("UPDATE pgqueue.jobs SET claims = claims + 1")
        raise ValueError("boom")

    hall.serve(LosesFirst)
    hall.app.handle = Box(lose)
    job_id = hall.enqueue(LosesFirst())
    async with hall.working():
        await until(lambda: hall.ledger.lost)
    assert hall.state(job_id) == "running"
    assert hall.effects() == []


class LosesFirst(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        await app(ctx)

    async def on_dead(self, app: Any, session: AsyncSession, death: Death) -> None:
        await session.execute(NOTE, {"note": "buried"})
