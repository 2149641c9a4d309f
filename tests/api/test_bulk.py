"""`enqueue_many` writes the rows that `enqueue` would write, whatever stands in them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Context, Job, Limit, Queue, Unique
from tests.api.jobs import SETTINGS

if TYPE_CHECKING:
    import psycopg

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
