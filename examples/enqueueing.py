"""Every way into the queue: whatever transaction the caller has."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from pgqueue import App, AsyncQueue, Context, Job, JobContext, Queue, bind


class Touch(Job, retain="7d"):
    what: str

    async def run(self, app: object, ctx: JobContext) -> None:
        ctx.log.info("touched", what=self.what)


queue = Queue()
async_queue = AsyncQueue()
app = App(queue=queue, jobs=[Touch])
context = Context(organization_id="org-1", user_id="user-1")


def with_a_session(url: str) -> int:
    with Session(create_engine(url)) as session, session.begin():
        return queue.enqueue(session, Touch(what="session"), context=context)


async def with_an_async_session(url: str) -> int:
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        job_id = await async_queue.enqueue(session, Touch(what="async session"), context=context)
    await engine.dispose()
    return job_id


def with_psycopg(url: str) -> int:
    with psycopg.connect(url) as conn:
        return queue.enqueue(conn, Touch(what="psycopg"), context=context)


def with_a_bound_context(url: str) -> int:
    with psycopg.connect(url) as conn, bind(context):
        return queue.enqueue(conn, Touch(what="bound context"))


def later(url: str) -> list[int]:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with psycopg.connect(url) as conn:
        return [
            queue.enqueue(conn, Touch(what="in ten minutes"), context=context, delay="10m"),
            queue.enqueue(conn, Touch(what="tomorrow"), context=context, run_at=tomorrow),
        ]


def many(url: str) -> list[int]:
    with psycopg.connect(url) as conn:
        return queue.enqueue_many(conn, [Touch(what=f"number {n}") for n in range(1000)], context=context)


def from_sql(url: str) -> int:
    with Session(create_engine(url)) as session, session.begin():
        return session.scalars(
            text("SELECT pgqueue.enqueue('Touch', '{\"what\": \"sql\"}', 'org-1', 'user-1', queue => 'default')")
        ).one()


if __name__ == "__main__":
    sqlalchemy_url = (queue.settings.database_url or "").replace("postgresql://", "postgresql+psycopg://")
    psycopg_url = sqlalchemy_url.replace("+psycopg", "")
    print(with_a_session(sqlalchemy_url))
    print(asyncio.run(with_an_async_session(sqlalchemy_url)))
    print(with_psycopg(psycopg_url))
    print(with_a_bound_context(psycopg_url))
    print(later(psycopg_url))
    print(len(many(psycopg_url)))
    print(from_sql(sqlalchemy_url))
