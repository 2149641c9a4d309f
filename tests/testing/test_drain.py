"""A test enqueues, asserts, drains: by the real statements, in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from pgqueue.errors import ConfigurationError
from pgqueue.testing import QueueTester
from tests.testing.jobs import CONTEXT, AsyncWrite, Endless, Fragile, Letter, Relay, Slow, Write, application, queue

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def notes(session: Session) -> list[str]:
    return list(session.scalars(sa.text("SELECT note FROM notes ORDER BY n")))


def states(session: Session) -> list[str]:
    return list(session.scalars(sa.text("SELECT state FROM pgqueue.all_jobs ORDER BY id")))


def enqueue(session: Any, *jobs: Any, **options: Any) -> list[int]:
    return [queue.enqueue(session, job, context=CONTEXT, **options) for job in jobs]


def test_what_is_enqueued_runs(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    enqueue(session, Letter(to="ada"), Letter(to="bob"))
    drained = queue_tester.drain()
    assert done == ["ada 1/2", "bob 1/2"]
    assert drained.completed == 2
    assert [(run.kind, run.moment, run.attempt) for run in drained.runs] == [("Letter", "complete", 1)] * 2
    assert states(session) == ["completed"] * 2
    assert queue_tester.drain().runs == []


def test_a_job_has_its_effect_and_its_completion_in_the_tests_transaction(
    queue_tester: QueueTester, session: Session, prepared: str
) -> None:
    enqueue(session, Write(note="written"))
    assert queue_tester.drain().completed == 1
    assert notes(session) == ["written 1"]
    with psycopg.connect(prepared) as other:
        assert other.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM pgqueue.all_jobs").fetchone() == (0,)


def test_the_code_under_test_may_commit(queue_tester: QueueTester, session: Session) -> None:
    session.execute(sa.text("INSERT INTO notes (note) VALUES ('mine')"))
    enqueue(session, Write(note="a"))
    session.commit()
    assert queue_tester.drain().completed == 1
    enqueue(session, Write(note="b"))
    session.rollback()
    assert queue_tester.drain().runs == []
    assert notes(session) == ["mine", "a 1"]


def test_children_are_followed_to_the_end(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    enqueue(session, Relay(left=3))
    assert queue_tester.drain().completed == 4
    assert done == ["relay 3", "relay 2", "relay 1", "relay 0"]


def test_many_jobs_run_too(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    queue.enqueue_many(session, [Letter(to=str(n)) for n in range(50)], context=CONTEXT)
    assert queue_tester.drain().completed == 50
    assert done == [f"{n} 1/2" for n in range(50)]


def test_what_is_for_later_waits_unless_it_is_asked_for(
    queue_tester: QueueTester, session: Session, done: list[str]
) -> None:
    enqueue(session, Letter(to="late"), delay="2h")
    enqueue(session, Letter(to="later"), delay="3h")
    enqueue(session, Letter(to="soon"), delay="1h")
    assert queue_tester.drain().runs == []
    assert queue_tester.drain(with_scheduled=True).completed == 3
    assert done == ["soon 1/2", "late 1/2", "later 1/2"]


def test_a_moved_clock_makes_jobs_due(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    enqueue(session, Letter(to="ada"), delay="1h")
    queue_tester.advance("59m")
    assert queue_tester.drain().runs == []
    queue_tester.advance("2m")
    assert queue_tester.drain().completed == 1


def test_an_error_is_raised_after_it_was_settled(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, Fragile())
    with pytest.raises(LookupError, match="it broke"):
        queue_tester.drain()
    assert states(session) == ["waiting"]


def test_errors_can_be_recorded_until_the_job_is_dead(
    queue_tester: QueueTester, session: Session, done: list[str]
) -> None:
    enqueue(session, Fragile())
    drained = queue_tester.drain(with_scheduled=True, raise_errors=False)
    assert (drained.retried, drained.dead, drained.completed) == (1, 1, 1)
    assert [str(error) for error in drained.errors] == ["it broke", "it broke"]
    assert drained.runs[0].wait == 60
    assert notes(session) == ["dead of attempts"]
    assert done == ["heard of Fragile: attempts"]
    assert states(session) == ["dead", "completed"]


def test_an_outcome_is_no_error(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, Fragile(how="dead"))
    drained = queue_tester.drain()
    assert (drained.dead, drained.errors) == (1, [])
    assert drained.runs[0].reason == "dead"


def test_a_job_that_hangs_ends_with_its_timeout(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, Slow())
    drained = queue_tester.drain(raise_errors=False)
    assert drained.dead == 1
    assert "timeout of 0.2 s" in drained.runs[0].reason or drained.runs[0].reason == "attempts"


def test_what_never_ends_is_stopped(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, Endless())
    assert queue_tester.drain().snoozed == 1
    with pytest.raises(ConfigurationError, match="20 runs, the last of Endless"):
        queue_tester.drain(with_scheduled=True, most=20)


def test_a_job_that_needs_the_other_kind_of_connection_says_so(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, AsyncWrite(note="x"))
    with pytest.raises(ConfigurationError, match="async_queue_tester"):
        queue_tester.drain(raise_errors=False)


def test_a_paused_queue_keeps_its_jobs(queue_tester: QueueTester, session: Session) -> None:
    enqueue(session, Letter(to="ada"))
    queue_tester.drain()
    queue.pause(session, "mail")
    enqueue(session, Letter(to="bob"))
    assert queue_tester.drain().runs == []
    queue.resume(session, "mail")
    assert queue_tester.drain().completed == 1


def test_dead_letters_are_requeued_and_run(queue_tester: QueueTester, session: Session) -> None:
    (job,) = enqueue(session, Fragile(how="dead"))
    queue_tester.drain()
    assert queue.requeue(session, [job], by="ann") == [job]
    with queue_tester.fail(Fragile):
        assert queue_tester.drain(with_scheduled=True).dead == 1


class TestWithOtherConnections:
    """Whatever the application has."""

    def test_a_sqlalchemy_connection(self, connection: sa.Connection, done: list[str]) -> None:
        tester = QueueTester(application(queue, done), connection)
        enqueue(connection, Write(note="a"), Letter(to="ada"))
        assert tester.drain().completed == 2
        assert connection.scalar(sa.text("SELECT note FROM notes")) == "a 1"
        tester.close()

    def test_psycopg(self, prepared: str, done: list[str]) -> None:
        with psycopg.connect(prepared) as conn:
            tester = QueueTester(application(queue, done), conn)
            enqueue(conn, Letter(to="ada"))
            assert tester.drain().completed == 1
            enqueue(conn, Write(note="a"))
            with pytest.raises(ConfigurationError, match="Session or Connection"):
                tester.drain()
            tester.close()
            conn.rollback()

    def test_a_session_that_began_by_itself(self, prepared: str, done: list[str]) -> None:
        from sqlalchemy.orm import Session as PlainSession

        from tests.conftest import sqlalchemy_address

        engine = sa.create_engine(sqlalchemy_address(prepared))
        with PlainSession(engine) as session:
            tester = QueueTester(application(queue, done), session)
            enqueue(session, Write(note="a"))
            assert tester.drain().completed == 1
            assert notes(session) == ["a 1"]
            tester.close()
            session.rollback()
            assert notes(session) == []
        engine.dispose()
