"""Assertions say what is there; a single run says what would become of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from pgqueue import Context
from pgqueue.errors import ConfigurationError, InvalidJob, SecretInArguments
from pgqueue.testing import QueueTester, perform
from tests.testing.jobs import CONTEXT, AsyncWrite, Fragile, Letter, Relay, Slow, Unlisted, Write, application, queue

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def test_enqueued_jobs_are_found_by_what_they_are(queue_tester: QueueTester, session: Session) -> None:
    queue.enqueue(session, Letter(to="ada", copies=2), context=CONTEXT)
    queue.enqueue(session, Letter(to="bob"), context=CONTEXT)
    assert queue_tester.assert_enqueued(Letter) == [Letter(to="ada", copies=2), Letter(to="bob")]
    assert queue_tester.assert_enqueued(Letter, {"to": "ada"}, queue="mail", count=1) == [Letter(to="ada", copies=2)]
    assert queue_tester.assert_enqueued(Letter, where=lambda letter: letter.copies == 1) == [Letter(to="bob")]
    assert queue_tester.assert_enqueued(Letter, {"to": "eve"}, count=0) == []
    queue_tester.refute_enqueued(Letter, {"to": "eve"})
    queue_tester.refute_enqueued(Write)


def test_times_are_compared_with_a_tolerance(queue_tester: QueueTester, session: Session) -> None:
    noon = datetime.now(UTC) + timedelta(days=1)
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT, delay="1h")
    queue.enqueue(session, Letter(to="bob"), context=CONTEXT, run_at=noon)
    queue_tester.assert_enqueued(Letter, {"to": "ada"}, run_in="1h")
    queue_tester.assert_enqueued(Letter, {"to": "bob"}, run_at=noon)
    queue_tester.assert_enqueued(Letter, {"to": "bob"}, run_in="1d")
    with pytest.raises(AssertionError, match="it runs in 3600 s, not in 7200 s"):
        queue_tester.assert_enqueued(Letter, {"to": "ada"}, run_in="2h")
    with pytest.raises(AssertionError, match="run_at is"):
        queue_tester.assert_enqueued(Letter, {"to": "bob"}, run_at=noon + timedelta(minutes=1))


def test_a_failure_lists_what_is_there_and_the_nearest_miss(queue_tester: QueueTester, session: Session) -> None:
    first = queue.enqueue(session, Letter(to="ada", copies=2), context=CONTEXT)
    queue.enqueue(session, Letter(to="bob", copies=9), context=CONTEXT, delay="90s")
    queue.enqueue(session, Relay(left=1), context=CONTEXT)
    with pytest.raises(AssertionError) as caught:
        queue_tester.assert_enqueued(Letter, {"to": "ada", "copies": 3})
    assert str(caught.value).splitlines() == [
        "expected at least 1 of Letter(to='ada', copies=3), found 0",
        f"nearest: job {first}: copies is 2, not 3",
        "enqueued:",
        f"  {first} Letter(to='ada', copies=2) queue=mail enqueued for acme/ann",
        f"  {first + 1} Letter(to='bob', copies=9) queue=mail enqueued, in 90 s for acme/ann",
        f"  {first + 2} Relay(left=1) queue=default enqueued for acme/ann",
    ]
    with pytest.raises(AssertionError, match=r"expected 2 of Letter\(\), found 2|expected 3"):
        queue_tester.assert_enqueued(Letter, count=3)
    with pytest.raises(AssertionError, match=r"expected no Letter\(to='ada'\), found 1"):
        queue_tester.refute_enqueued(Letter, {"to": "ada"})


def test_nothing_enqueued_is_said(queue_tester: QueueTester) -> None:
    with pytest.raises(AssertionError, match="nothing is enqueued"):
        queue_tester.assert_enqueued(Letter)


def test_a_field_that_the_kind_does_not_have_is_refused(queue_tester: QueueTester) -> None:
    with pytest.raises(InvalidJob, match="no field 'too'; its fields: to, copies"):
        queue_tester.refute_enqueued(Letter, {"too": "ada"})


def test_what_has_run_is_not_enqueued_any_more(queue_tester: QueueTester, session: Session) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    queue.enqueue(session, Letter(to="bob"), context=CONTEXT, delay="1h")
    queue_tester.drain()
    assert queue_tester.assert_enqueued(Letter) == [Letter(to="bob")]
    assert [row.state for row in queue_tester.enqueued()] == ["waiting"]


def test_inline_runs_a_job_before_enqueue_returns(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    with queue_tester.inline():
        queue.enqueue(session, Relay(left=2), context=CONTEXT)
        assert done == ["relay 2", "relay 1", "relay 0"]
        queue.enqueue_many(session, [Letter(to="a"), Letter(to="b")], context=CONTEXT)
        assert done[3:] == ["a 1/2", "b 1/2"]
        queue.enqueue(session, Letter(to="late"), context=CONTEXT, delay="1h")
        with pytest.raises(LookupError):
            queue.enqueue(session, Fragile(), context=CONTEXT)
    queue.enqueue(session, Letter(to="after"), context=CONTEXT)
    assert len(done) == 5


def test_one_run_says_what_a_worker_would_do(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    ran = queue_tester.perform(Letter(to="ada"), attempt=2, context=Context("acme", "ann"))
    assert (ran.moment, ran.outcome, ran.error, ran.attempt) == ("complete", None, None, 2)
    assert done == ["ada 2/2"]
    first, last = queue_tester.perform(Fragile()), queue_tester.perform(Fragile(), attempt=2)
    assert (first.moment, first.wait, str(first.error)) == ("retry", 60, "it broke")
    assert (last.moment, last.reason, last.wait) == ("bury", "attempts", None)
    relay = queue_tester.perform(Relay(left=1))
    assert (relay.moment, relay.follower) == ("complete", Relay(left=0))
    assert queue_tester.perform(Slow()).moment == "bury"
    assert session.scalar(sa.text("SELECT count(*) FROM pgqueue.all_jobs")) == 0


def test_one_run_may_use_the_tests_transaction(queue_tester: QueueTester, session: Session) -> None:
    assert queue_tester.perform(Write(note="a"), attempt=2).moment == "complete"
    assert session.scalar(sa.text("SELECT note FROM notes")) == "a 2"
    with pytest.raises(ConfigurationError, match="async_queue_tester"):
        queue_tester.perform(AsyncWrite(note="a"))


def test_one_run_needs_no_database(done: list[str]) -> None:
    app = application(queue, done)
    assert perform(app, Letter(to="ada")).moment == "complete"
    assert done == ["ada 1/2"]
    with pytest.raises(ConfigurationError, match="queue_tester"):
        perform(app, Write(note="a"))


@pytest.mark.parametrize(
    ("job", "options", "error", "what"),
    [
        (Unlisted(), {}, InvalidJob, "the App does not list Unlisted"),
        (Letter(to="ada"), {"attempt": 3}, InvalidJob, "attempts 1 to 2"),
        (Letter(to="ada"), {"attempt": 0}, InvalidJob, "attempts 1 to 2"),
        (Letter(to="postgresql://a:" + "hunter2@host/db"), {}, SecretInArguments, r"Letter\.to"),
    ],
)
def test_what_could_not_be_enqueued_is_not_performed(
    done: list[str], job: Any, options: dict[str, Any], error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        perform(application(queue, done), job, **options)


async def _in_a_loop(app: Any) -> str:
    return perform(app, Letter(to="ada")).moment


@pytest.mark.anyio
async def test_code_that_is_not_asynchronous_works_in_a_running_loop(
    queue_tester: QueueTester, session: Session, done: list[str]
) -> None:
    queue.enqueue(session, Relay(left=1), context=CONTEXT)
    assert queue_tester.drain().completed == 2
    assert await _in_a_loop(queue_tester.app) == "complete"
