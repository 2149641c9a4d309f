"""Alerts when a channel is down, hangs or raises, and when a sender is killed: jobs go on, messages arrive or end."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Alerts, Level, Webhook
from pgqueue.queries.alerts import AlertQueries
from tests.cli.rows import dead
from tests.guards.receivers import http_receiver, mail_receiver
from tests.guards.test_alerts import OFF, Told, Works, serve
from tests.worker.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.guards.circuits import Conn
    from tests.guards.receivers import Hooked
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
DEAD = Level(above=1, below=1, samples=1)


@pytest.fixture
def hooked() -> Iterator[Hooked]:
    with http_receiver() as found:
        yield found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgqueue.worker.alerting._FIRST", 0.01)


def messages(conn: Conn, columns: str = "tries, sent_at IS NOT NULL, next_try_at, error") -> list[tuple[Any, ...]]:
    return conn.execute(f"SELECT {columns} FROM pgqueue.alert_messages ORDER BY id").fetchall()


async def test_a_channel_that_fails_is_tried_again_with_the_same_key(hall: Hall, conn: Conn, hooked: Hooked) -> None:
    hooked.answers += [500, 302]
    serve(hall, dead_letters=DEAD, webhooks=[Webhook(url=hooked.url)])
    dead(conn)
    async with hall.working():
        await until(lambda: messages(conn) == [(3, True, None, None)])
    assert len({post["headers"]["webhook-id"] for post in hooked.posts}) == 1
    assert len(hooked.posts) == 3


async def test_a_channel_that_stays_down_is_given_up_and_jobs_go_on(hall: Hall, conn: Conn) -> None:
    told = Told()
    with mail_receiver() as (_, port):
        pass  # nobody listens there any more
    serve(hall, told, dead_letters=DEAD, webhooks=[Webhook(url=f"http://127.0.0.1:{port}/")], tries=3)
    dead(conn)
    async with hall.working():
        await until(lambda: (3, False, None, "the webhook cannot be reached: URLError") in messages(conn))
        job_id = hall.enqueue(Works())
        await until(lambda: hall.state(job_id) == "completed")
    assert told.events() == [("raised", "dead_letters", "kind Mail")]


async def test_a_secret_that_is_missing_is_told_by_its_place(hall: Hall, conn: Conn, hooked: Hooked) -> None:
    serve(hall, dead_letters=DEAD, webhooks=[Webhook(url=hooked.url, secret="env:NOT_SET_AT_ALL")], tries=1)
    dead(conn)
    async with hall.working():
        await until(lambda: messages(conn, "error")[:1] not in ([], [(None,)]))
    assert messages(conn, "error") == [
        ("the secret at env:NOT_SET_AT_ALL is missing: the variable NOT_SET_AT_ALL is not set",)
    ]
    assert hooked.posts == []


async def test_a_hook_that_raises_stops_nothing_and_its_text_is_not_kept(hall: Hall, conn: Conn) -> None:
    told = Told()

    def raises(notice: object) -> None:
        raise SystemExit("a secret")

    serve(hall, raises, told, dead_letters=DEAD, tries=2)
    dead(conn)
    async with hall.working():
        await until(lambda: told and (2, False, None, "SystemExit in the channel") in messages(conn))
        job_id = hall.enqueue(Works())
        await until(lambda: hall.state(job_id) == "completed")


async def test_a_hook_that_sleeps_stops_nothing_not_even_the_end(
    hall: Hall, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgqueue.channels._HOOK_SECONDS", 0.2)
    told, asleep, let_go = Told(), threading.Event(), threading.Event()

    def sleeps(notice: object) -> None:
        asleep.set()
        let_go.wait(30)

    serve(hall, sleeps, told, dead_letters=DEAD, tries=2)
    dead(conn)
    async with hall.working():
        await until(lambda: asleep.is_set() and told)
        await until(lambda: (2, False, None, "the send before this one has not ended yet") in messages(conn))
        job_id = hall.enqueue(Works())
        await until(lambda: hall.state(job_id) == "completed")
    let_go.set()


async def test_a_server_that_never_answers_is_left_after_its_time(hall: Hall, conn: Conn, hooked: Hooked) -> None:
    hooked.silent.set()
    serve(hall, dead_letters=DEAD, webhooks=[Webhook(url=hooked.url, timeout="200ms")], tries=1)
    dead(conn)
    async with hall.working():
        await until(lambda: (1, False, None, "the webhook cannot be reached: TimeoutError") in messages(conn))


async def test_what_a_killed_sender_had_taken_is_sent_by_the_next(hall: Hall, conn: Conn) -> None:
    told = Told()
    conn.execute(
        """INSERT INTO pgqueue.alert_messages (key, channel, event, rule, subject, value, text, raised_at)
           VALUES ('k', 'hook function', 'raised', 'dead_letters', 'kind Mail', 1, 'one', pgqueue.clock())"""
    )
    take = AlertQueries().take("hook function", timedelta(seconds=30))
    assert conn.execute(take.sql, take.params).fetchone()
    assert conn.execute(take.sql, take.params).fetchone() is None
    serve(hall, told)
    hall.advance(timedelta(seconds=31))
    async with hall.working():
        await until(lambda: messages(conn, "tries, sent_at IS NOT NULL") == [(2, True)])
    assert [one.key for one in told] == ["k"]


async def test_two_that_judge_at_once_write_one_message(conn: Conn) -> None:
    from pgqueue.alerts import Step

    step = Step("dead_letters", "kind Mail", 1, 0, raised=True, value=1.0, event="raised", text="one")
    write = AlertQueries().write([step], ["log", "email ops"])
    assert len(conn.execute(write.sql, write.params).fetchall()) == 2
    assert conn.execute(write.sql, write.params).fetchall() == []
    assert messages(conn, "channel") == [("log",), ("email ops",)]


async def test_alerts_that_are_switched_off_open_no_connection(hall: Hall, conn: Conn) -> None:
    hall.serve(Works, alerts=None)
    dead(conn)
    async with hall.working() as running:
        await until(lambda: running.keeper.token is not None)
        assert hall.backends("pgqueue alerts") == []
    assert messages(conn) == []


async def test_one_process_has_the_connection_for_alerts(hall: Hall, conn: Conn) -> None:
    hall.serve(Works, alerts=Alerts(every="50ms", **OFF))
    async with hall.working() as one, hall.working() as other:
        await until(lambda: hall.backends("pgqueue alerts"))
        assert (one.keeper.token is None) != (other.keeper.token is None)
        assert len(hall.backends("pgqueue alerts")) == 1
