"""Faults on the real path: a worker that dies, a lease that is lost, a job that fails before it works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from pgqueue.errors import ConfigurationError
from pgqueue.testing import Injected, QueueTester, fail
from tests.testing.jobs import CONTEXT, Letter, Relay, Write, queue

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def notes(session: Session) -> list[str]:
    return list(session.scalars(sa.text("SELECT note FROM notes ORDER BY n")))


def test_a_worker_that_dies_after_its_claim_costs_a_crash_and_no_attempt(
    queue_tester: QueueTester, session: Session, done: list[str]
) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    with queue_tester.crash_after_claim(Letter, times=2):
        drained = queue_tester.drain()
    assert [run.moment for run in drained.runs] == ["crash", "crash", "complete"]
    assert done == ["ada 1/2"]
    assert session.scalar(sa.text("SELECT crashes FROM pgqueue.all_jobs")) == 2


def test_a_job_that_takes_three_workers_down_is_buried(queue_tester: QueueTester, session: Session) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    with queue_tester.crash_after_claim(Letter, times=3):
        drained = queue_tester.drain()
    assert (drained.crashed, drained.dead, drained.runs[3].reason) == (3, 1, "crashed")


def test_a_run_that_lost_its_lease_settles_nothing_and_the_other_one_does(
    queue_tester: QueueTester, session: Session, done: list[str]
) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    queue.enqueue(session, Letter(to="bob"), context=CONTEXT)
    with queue_tester.lose_lease(Letter):
        drained = queue_tester.drain()
    assert [run.moment for run in drained.runs] == ["lost", "complete", "complete"]
    assert done == ["ada 1/2", "ada 1/2", "bob 1/2"], "a job without idempotency works twice"


def test_a_lost_lease_rolls_the_jobs_own_transaction_back(queue_tester: QueueTester, session: Session) -> None:
    queue.enqueue(session, Write(note="a"), context=CONTEXT)
    with queue_tester.lose_lease(Write):
        drained = queue_tester.drain(raise_errors=False)
    assert [run.moment for run in drained.runs] == ["lost", "complete"]
    assert notes(session) == ["a 2"]


def test_a_job_fails_so_often_before_it_works(queue_tester: QueueTester, session: Session, done: list[str]) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    queue.enqueue(session, Relay(left=0), context=CONTEXT)
    with queue_tester.fail(Letter, times=1), queue_tester.fail(Relay, error=OSError("no route")):
        with pytest.raises(OSError, match="no route"):
            queue_tester.drain()
        drained = queue_tester.drain(with_scheduled=True)
    assert done == ["ada 2/2", "relay 0"]
    assert drained.completed == 2


def test_an_injected_failure_is_told_and_not_raised(queue_tester: QueueTester, session: Session) -> None:
    queue.enqueue(session, Letter(to="ada"), context=CONTEXT)
    with fail(Letter, times=5):
        drained = queue_tester.drain(with_scheduled=True)
    assert (drained.retried, drained.dead) == (1, 1)
    assert [type(error) for error in drained.errors] == [Injected, Injected]


def test_a_class_is_as_it_was_after_a_failure() -> None:
    class Inherits(Letter):
        """Has its run from its parent."""

    before = Letter.run
    with pytest.raises(ZeroDivisionError), fail(Letter), fail(Inherits):
        raise ZeroDivisionError
    assert Letter.run is before
    assert Inherits.run is before


class TestClock:
    """The clock of one transaction."""

    def test_it_goes_on_from_where_it_is_put(self, queue_tester: QueueTester, session: Session) -> None:
        moment = datetime(2031, 1, 2, 3, 4, tzinfo=UTC)
        queue_tester.at(moment)
        assert timedelta() <= queue_tester.now() - moment < timedelta(minutes=1)
        queue_tester.advance("1d")
        assert queue_tester.now() > moment + timedelta(days=1)
        queue.enqueue(session, Letter(to="ada"), context=CONTEXT, run_at=moment)
        assert queue_tester.drain().completed == 1

    def test_nobody_else_sees_it(self, queue_tester: QueueTester, prepared: str) -> None:
        import psycopg

        queue_tester.advance("365d")
        with psycopg.connect(prepared) as other:
            row = other.execute("SELECT pgqueue.clock() - clock_timestamp() < interval '1 minute'").fetchone()
        assert row == (True,)

    def test_it_is_the_true_one_again_if_somebody_commits(self, database_url: str, done: list[str]) -> None:
        import psycopg

        from tests.testing.jobs import application

        with psycopg.connect(database_url) as conn:
            tester = QueueTester(application(queue, done), conn)
            tester.advance("365d")
            conn.commit()
            late = conn.execute("SELECT pgqueue.clock() - clock_timestamp() > interval '1 minute'").fetchone()
        tester.close()
        assert late == (False,)

    def test_a_time_needs_a_zone_and_a_unit(self, queue_tester: QueueTester) -> None:
        with pytest.raises(ConfigurationError, match="time zone"):
            queue_tester.at(datetime(2031, 1, 1))  # noqa: DTZ001 - the fault under test
        with pytest.raises(ConfigurationError, match="unit"):
            queue_tester.advance("60")
