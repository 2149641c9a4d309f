"""What cannot be meant is refused with a sentence, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from pgqueue import AsyncQueue, Queue
from pgqueue.errors import InvalidJob, TransactionUnusable
from tests.api.jobs import CONTEXT, SETTINGS, Letter, enqueued

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.api.jobs import Row

queue, aqueue = Queue(SETTINGS, wake="off"), AsyncQueue(SETTINGS, wake="off")
LETTER = Letter(to="a")


class Runs:
    """As a running job: it knows its context."""

    context = CONTEXT


@pytest.mark.parametrize(
    ("job", "sentence"),
    [(Letter, r"the class Letter; enqueue an instance: Letter\(…\)"), ({"to": "a"}, "cannot enqueue a dict")],
    ids=repr,
)
def test_what_is_no_job_is_refused(conn: psycopg.Connection[Row], job: Any, sentence: str) -> None:
    with pytest.raises(InvalidJob, match=sentence):
        queue.enqueue(conn, job, context=CONTEXT)
    with pytest.raises(InvalidJob, match=f"job number 1 of enqueue_many: .*{sentence}"):
        queue.enqueue_many(conn, [LETTER, job], context=CONTEXT)
    assert enqueued(conn) == []


@pytest.mark.parametrize("context", ["acme", {}, 0, ("acme", "ann")], ids=repr)
def test_what_is_no_context_is_refused(conn: psycopg.Connection[Row], context: Any) -> None:
    with pytest.raises(InvalidJob, match=f"context is a {type(context).__name__}; give Context"):
        queue.enqueue(conn, LETTER, context=context)


def test_a_running_job_may_stand_for_its_context(conn: psycopg.Connection[Row]) -> None:
    runs: Any = Runs()
    assert enqueued(conn) == [] != [queue.enqueue(conn, LETTER, context=runs)]


CALLS: list[Callable[[Any, Any, Any], Any]] = [
    lambda face, conn, bad: face.cancel(conn, bad),
    lambda face, conn, bad: face.requeue(conn, [1, bad], by="ann"),
    lambda face, conn, bad: face.discard(conn, [1, bad], by="ann"),
]
NOTES: list[Callable[[Any, Any, Any], Any]] = [
    lambda face, conn, bad: face.cancel(conn, 1, reason=bad),
    lambda face, conn, bad: face.requeue(conn, [1], by=bad),
    lambda face, conn, bad: face.discard(conn, [1], by="ann", reason=bad),
    lambda face, conn, bad: face.discard(conn, [1], by=bad),
    lambda face, conn, bad: face.pause(conn, "mail", by=bad),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bad", ["abc", 2**70, None, True, 1.5, "\x00"], ids=repr)
def test_what_is_no_id_is_refused(conn: psycopg.Connection[Row], call: Any, bad: object) -> None:
    with pytest.raises(InvalidJob, match="is no id of a job; give the number that enqueue returned"):
        call(queue, conn, bad)


@pytest.mark.parametrize("call", NOTES)
@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b", 7], ids=ascii)
def test_a_note_that_cannot_be_stored_is_refused(conn: psycopg.Connection[Row], call: Any, bad: object) -> None:
    with pytest.raises(InvalidJob, match="text without NUL"):
        call(queue, conn, bad)


@pytest.mark.anyio
async def test_the_asynchronous_face_refuses_the_same(aengine: AsyncEngine) -> None:
    async with AsyncSession(aengine) as session:
        for call in CALLS:
            with pytest.raises(InvalidJob, match="is no id of a job"):
                await call(aqueue, session, "abc")
        for call in NOTES:
            with pytest.raises(InvalidJob, match="text without NUL"):
                await call(aqueue, session, "a\x00b")


def test_a_pipeline_has_to_be_left_first(database_url: str) -> None:
    with psycopg.connect(database_url) as own:
        with own.pipeline(), pytest.raises(TransactionUnusable, match="in pipeline mode; leave"):
            queue.enqueue(own, LETTER, context=CONTEXT)
        assert queue.enqueue(own, LETTER, context=CONTEXT) > 0
