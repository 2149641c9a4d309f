"""`enqueue_many` writes the rows that `enqueue` would write, whatever stands in them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue import AsyncQueue, Context, Job, Limit, Queue, Unique
from pgqueue.errors import InvalidJob
from tests.api.jobs import CONTEXT, SETTINGS, Letter, enqueued

if TYPE_CHECKING:
    from tests.api.jobs import Row

TEXTS = ["plain", "a\tb", "a\nb\r\n", "\\", "\\N", "\\.", 'quo"ted', "{a,b}", "é ☃ 🐘", "\\u0041", "", "\u2028"]
queue = Queue(SETTINGS, wake="off")


class Note(Job, unique=Unique("text", while_="1h", on_conflict="skip"), limit=Limit("text", running=3), cost=2):
    text: str
    more: list[str]

    async def run(self, app: object, ctx: object) -> None:
        """Do nothing."""


def rows(conn: psycopg.Connection[Row]) -> list[dict[str, Any]]:
    found = conn.execute(
        "SELECT to_jsonb(o) - '{id,lane,trace_id,enqueued_at}'::text[] FROM pgqueue.outbox o ORDER BY id"
    )
    return [row[0] for row in found]


@pytest.mark.parametrize("delay", [None, timedelta(days=3, hours=1, microseconds=5)])
def test_bulk_rows_are_those_of_single_enqueues(conn: psycopg.Connection[Row], delay: timedelta | None) -> None:
    jobs = [Note(text=text.replace("\n", " ").replace("\r", " "), more=[text, *TEXTS]) for text in TEXTS]
    for who in ("org", "o\\rg"):
        context = Context(organization_id=who, user_id=who)
        for job in jobs:
            queue.enqueue(conn, job, context=context, delay=delay, priority="high")
        single = rows(conn)
        conn.execute("DELETE FROM pgqueue.outbox")
        queue.enqueue_many(conn, jobs, context=context, delay=delay, priority="high")
        assert rows(conn) == single
        conn.execute("DELETE FROM pgqueue.outbox")


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii"])
def test_a_connection_that_speaks_another_encoding_writes_every_text(
    database_url: str, conn: psycopg.Connection[Row], encoding: str
) -> None:
    with psycopg.connect(database_url, client_encoding=encoding) as tx:
        queue.enqueue_many(tx, [Letter(to=text) for text in TEXTS], context=CONTEXT)
    assert [row["args"]["to"] for row in rows(conn)] == TEXTS


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_bad_job_behind_many_that_were_sent_takes_them_back_and_leaves_the_transaction_usable(
    database_url: str, conn: psycopg.Connection[Row], *, autocommit: bool
) -> None:
    jobs = [*(Letter(to=str(number)) for number in range(700)), Letter(to="\x00")]
    with psycopg.connect(database_url, autocommit=autocommit) as tx:
        with pytest.raises(InvalidJob, match="job number 700 of enqueue_many"):
            queue.enqueue_many(tx, jobs, context=CONTEXT)
        job_id = queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
    assert enqueued(conn) == [job_id]


@pytest.mark.anyio
async def test_the_same_in_asynchronous_code(aconn: psycopg.AsyncConnection[Row]) -> None:
    asynchronous = AsyncQueue(SETTINGS, wake="off")
    jobs = [*(Letter(to=str(number)) for number in range(700)), Letter(to="\x00")]
    async with aconn.transaction():
        with pytest.raises(InvalidJob, match="job number 700 of enqueue_many"):
            await asynchronous.enqueue_many(aconn, jobs, context=CONTEXT)
        job_ids = await asynchronous.enqueue_many(aconn, jobs[:-1], context=CONTEXT)
    found = await aconn.execute("SELECT id FROM pgqueue.outbox ORDER BY id")
    assert [row[0] for row in await found.fetchall()] == job_ids
    assert len(job_ids) == 700


def test_many_ids_come_in_the_order_of_the_jobs(conn: psycopg.Connection[Row]) -> None:
    job_ids = queue.enqueue_many(conn, (Letter(to=str(number)) for number in range(1200)), context=CONTEXT)
    found = conn.execute(
        "SELECT args ->> 'to' FROM pgqueue.outbox WHERE id = ANY (%s) ORDER BY id", [job_ids]
    ).fetchall()
    assert [int(row[0]) for row in found] == list(range(1200))
    assert job_ids == sorted(job_ids)


def test_the_rights_that_the_documentation_names_are_enough(conn: psycopg.Connection[Row]) -> None:
    conn.execute(
        """CREATE ROLE no_owner;
           GRANT USAGE ON SCHEMA pgqueue TO no_owner;
           GRANT INSERT, SELECT ON pgqueue.outbox TO no_owner;
           GRANT USAGE, SELECT ON SEQUENCE pgqueue.job_ids TO no_owner;
           GRANT EXECUTE ON FUNCTION pgqueue.clock, pgqueue.limits_readable, pgqueue.enqueue TO no_owner;
           SET ROLE no_owner"""
    )
    try:
        job_ids = [queue.enqueue(conn, Note(text="a", more=[]), context=CONTEXT)]
        job_ids += queue.enqueue_many(conn, [Note(text="b", more=[])], context=CONTEXT)
        conn.execute("SELECT pgqueue.enqueue('Note', '{}', 'org', 'user')")
        assert enqueued(conn)[:2] == job_ids
    finally:
        conn.execute("RESET ROLE; DROP OWNED BY no_owner; DROP ROLE no_owner")
