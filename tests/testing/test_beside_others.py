"""What tests in transactions leave to others on the same database: nothing that could lose a job."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue.testing import QueueTester, prepare
from tests.sql.client import NO_TERM, Marks, Relay, claim, ended, enqueue, settle
from tests.testing.jobs import CONTEXT, Letter, application, queue

if TYPE_CHECKING:
    from collections.abc import Iterator

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def ready(database_url: str) -> str:
    prepare(database_url, application(queue, []))
    return database_url


@pytest.fixture
def in_test(ready: str) -> Iterator[Connection]:
    with psycopg.connect(ready) as conn:
        yield conn
        conn.rollback()


def work_off(conn: Connection, name: str) -> list[int]:
    """Relay, claim and complete what is there, as a real worker does."""
    relay, done = Relay(conn, term=NO_TERM), []
    for _ in range(3):
        relay.tick()
        jobs = claim(conn, queue=name)
        assert not settle(conn, *(ended(job, "complete") for job in jobs)) if jobs else True
        done += [job.id for job in jobs]
    return done


def test_real_jobs_are_found_after_a_test_was_rolled_back(ready: str, conn: Connection) -> None:
    for _ in range(3):
        with psycopg.connect(ready) as mine:
            tester = QueueTester(application(queue, []), mine)
            for number in range(5):
                queue.enqueue(mine, Letter(to=str(number)), context=CONTEXT)
            assert tester.drain().completed == 5
            tester.close()
            mine.rollback()
        ids = [enqueue(conn, "mail") for _ in range(3)]
        assert sorted(work_off(conn, "mail")) == ids
        marks = Marks.of(conn, "mail")
        assert marks.v == marks.head + 1


def test_the_marks_stay_where_they_are(ready: str, in_test: Connection, conn: Connection) -> None:
    enqueue(conn, "mail")
    work_off(conn, "mail")
    counters = """SELECT (SELECT last_value FROM pgqueue.outbox_mark_single),
                         (SELECT last_value FROM pgqueue.promote_mark), (SELECT last_value FROM pgqueue.turn_relay)"""
    before, v = conn.execute(counters).fetchone(), Marks.of(conn, "mail").v
    tester = QueueTester(application(queue, []), in_test)
    queue.enqueue(in_test, Letter(to="a"), context=CONTEXT)
    queue.enqueue(in_test, Letter(to="b"), context=CONTEXT, delay="1h")
    assert tester.drain(with_scheduled=True).completed == 2
    tester.close()
    assert conn.execute(counters).fetchone() == before
    assert Marks.of(conn, "mail").v == v


def test_a_real_relay_stands_aside_while_a_test_drains(ready: str, in_test: Connection, conn: Connection) -> None:
    tester = QueueTester(application(queue, []), in_test)
    queue.enqueue(in_test, Letter(to="a"), context=CONTEXT)
    tester.drain()
    tester.close()
    job = enqueue(conn, "mail")
    assert Relay(conn, term=NO_TERM).tick()["state"] is None
    in_test.rollback()
    assert work_off(conn, "mail") == [job]


def test_jobs_of_others_do_not_run_in_a_test(ready: str, in_test: Connection, conn: Connection) -> None:
    others = [enqueue(conn, "mail", kind="Letter") for _ in range(4)]
    Relay(conn, term=NO_TERM).tick()
    others.append(enqueue(conn, "mail", kind="Letter"))
    done: list[str] = []
    tester = QueueTester(application(queue, done), in_test)
    queue.enqueue(in_test, Letter(to="mine"), context=CONTEXT)
    assert tester.drain(with_scheduled=True).completed == 1
    assert tester.enqueued() == []
    assert done == ["mine 1/2"]
    tester.close()
    in_test.rollback()
    assert sorted(work_off(conn, "mail")) == others


def test_tests_beside_each_other_do_not_wait_and_do_not_mix(ready: str) -> None:
    together, wrong = threading.Barrier(4), list[str]()

    def one(name: str) -> None:
        with psycopg.connect(ready) as conn:
            conn.execute("SET lock_timeout = '5s'")
            done: list[str] = []
            tester = QueueTester(application(queue, done), conn)
            for round_number in range(5):
                together.wait(20)
                queue.enqueue(conn, Letter(to=f"{name}{round_number}"), context=CONTEXT)
                tester.drain()
                together.wait(20)  # all transactions are open
            tester.close()
            conn.rollback()
            if done != [f"{name}{number} 1/2" for number in range(5)]:
                wrong.append(f"{name}: {done}")

    threads = [threading.Thread(target=one, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert wrong == []
    assert not together.broken


def test_a_queue_that_another_test_is_making_is_named(database_url: str) -> None:
    with psycopg.connect(database_url) as one, psycopg.connect(database_url) as other:
        testers = [QueueTester(application(queue, []), conn) for conn in (one, other)]
        queue.enqueue(one, Letter(to="a"), context=CONTEXT)
        testers[0].drain()
        queue.enqueue(other, Letter(to="b"), context=CONTEXT)
        with pytest.raises(Exception, match=r"the queue mail known.*prepare\(url, app\)"):
            testers[1].drain()
        for tester in testers:
            tester.close()
        one.rollback()
        other.rollback()
