"""Alerts on a real database, told to real servers: raised once, cleared once, whatever the number of workers."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from pgqueue import (
    Alerts,
    Breakers,
    Email,
    FailureRate,
    Job,
    JobContext,
    JobFailed,
    Level,
    Retry,
    Settings,
    Wait,
    Webhook,
)
from tests.cli.rows import dead, enqueue, ready, worker
from tests.guards.receivers import http_receiver, mail_receiver
from tests.worker.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue import Notice
    from tests.guards.circuits import Conn
    from tests.guards.receivers import Hooked
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
OFF: dict[str, None] = dict.fromkeys(
    ("dead_letters", "long_wait", "failure_rate", "silent_worker", "missed_tick", "open_breaker")
)
SOON = Wait(above="1s", below="500ms", samples=1)
ONCE = Retry(1, [])


class Fails(Job, retry=ONCE):
    async def run(self, app: Any, ctx: JobContext) -> None:
        raise ValueError("boom")


class Works(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        """Nothing."""


class Heard(JobFailed):
    async def run(self, app: list[Any], ctx: JobContext) -> None:
        app.append((self.job_kind, self.reason, self.error, self.attempts))


@pytest.fixture
def hooked() -> Iterator[Hooked]:
    with http_receiver() as found:
        yield found


class Told(list["Notice"]):
    """A hook that keeps what it is given."""

    def __call__(self, notice: Notice) -> None:
        self.append(notice)

    def events(self) -> list[tuple[str, str, str]]:
        return [(one.event, one.rule, one.subject) for one in self]


def alerts(*hooks: Any, **more: Any) -> Alerts:
    return Alerts(**({"every": "100ms", "log": False, "hooks": hooks} | OFF | more))


def serve(hall: Hall, *hooks: Any, jobs: tuple[type[Job], ...] = (Works,), **more: Any) -> None:
    hall.serve(*jobs, alerts=alerts(*hooks, **more), lease="1s", heartbeat="200ms")


async def test_a_dead_letter_is_a_row_an_event_a_log_line_and_an_alert(hall: Hall, hooked: Hooked) -> None:
    heard: list[Any] = []
    given = alerts(dead_letters=Level(above=1, below=1, samples=1), webhooks=[Webhook(url=hooked.url)])
    hall.serve(Fails, handle=heard, listeners=[Heard], alerts=given, lease="1s", heartbeat="200ms")
    async with hall.working():
        job_id = hall.enqueue(Fails())
        await until(lambda: hooked.posts and heard)
    assert hall.dead(job_id, "reason") == "attempts"
    assert heard == [("Fails", "attempts", "boom", 1)]
    assert (job_id, "bury") in hall.ledger.moments
    (post,) = hooked.posts
    assert (post["type"], post["data"]["subject"]) == ("alert.raised", "kind Fails")
    assert (
        post["data"]["text"]
        == f"1 job(s) of Fails died lately; the last is {job_id} (ValueError): pgqueue dead show {job_id}"
    )
    assert "boom" not in post["body"]


async def test_each_alert_is_raised_once_and_cleared_once_by_two_workers(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, dead_letters=Level(above=1, below=1, samples=1))
    dead(conn, "Mail")
    dead(conn, "Mail")
    async with hall.working(), hall.working():
        await until(lambda: told)
        conn.execute("DELETE FROM pgqueue.dead_jobs")
        await until(lambda: len(told) >= 2)
    assert told.events() == [("raised", "dead_letters", "kind Mail"), ("cleared", "dead_letters", "kind Mail")]
    assert [one.value for one in told] == [2.0, 0.0]
    assert told[0].raised_at == told[1].raised_at
    assert told[0].key != told[1].key


async def test_a_worker_takes_over_and_raises_nothing_twice(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, dead_letters=Level(above=1, below=1, samples=1))
    dead(conn, "Mail")
    for _ in range(2):
        async with hall.working() as running:
            await until(lambda: told and _sampled_by(conn, running.keeper.token))
    assert told.events() == [("raised", "dead_letters", "kind Mail")]


def _sampled_by(conn: Conn, token: int | None) -> bool:
    """The alert was looked at since a worker has the role."""
    row = conn.execute("SELECT count(*) FROM pgqueue.alerts WHERE version > 1 AND sampled_at > now() - interval '1 s'")
    return token is not None and bool(row.fetchone())


async def test_a_queue_that_waits_long(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, long_wait=SOON)
    conn.execute("SELECT pgqueue.add_queue('slow')")
    job = ready(conn, queue="slow")
    conn.execute("UPDATE pgqueue.jobs SET enqueued_at = enqueued_at - interval '1 hour' WHERE id = %s", [job])
    async with hall.working():
        await until(lambda: told)
        conn.execute("DELETE FROM pgqueue.jobs WHERE id = %s", [job])
        await until(lambda: len(told) >= 2)
    assert told.events() == [("raised", "long_wait", "queue slow"), ("cleared", "long_wait", "queue slow")]
    assert 3600 <= told[0].value < 3700


async def test_a_paused_queue_waits_on_purpose_and_the_outbox_never(hall: Hall, conn: Conn) -> None:
    from pgqueue.queries.alerts import AlertQueries

    query = AlertQueries().measure("long_wait", None, 0)
    conn.execute("SELECT pgqueue.add_queue('slow')")
    ready(conn, queue="slow")
    conn.execute("UPDATE pgqueue.queues SET paused_at = now(), paused_by = 'ann'")
    assert conn.execute(query.sql, query.params).fetchall() == []
    job = enqueue(conn)
    ((subject, _, text),) = conn.execute(query.sql, query.params).fetchall()
    assert subject == "outbox"
    assert f"job {job} was enqueued" in text


async def test_a_kind_that_fails_often(hall: Hall, conn: Conn) -> None:
    told = Told()
    rate = FailureRate(above=0.5, below=0.2, least=4, samples=1)
    serve(hall, told, failure_rate=rate, jobs=(Works, Fails))
    async with hall.working():
        for _ in range(3):
            hall.enqueue(Works())
            hall.enqueue(Fails())
        await until(
            lambda: conn.execute("SELECT sum(failed + succeeded) FROM pgqueue.attempt_counts").fetchone() == (6,)
        )
        hall.enqueue(Fails())
        await until(lambda: told)
        conn.execute("DELETE FROM pgqueue.attempt_counts")
        await until(lambda: len(told) >= 2)
    assert told.events() == [("raised", "failure_rate", "kind Fails"), ("cleared", "failure_rate", "kind Fails")]
    assert told[0].value == 1.0
    assert "4 of 4 attempts of Fails failed" in told[0].text


async def test_a_worker_that_falls_silent(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, silent_worker=Wait(above="30s", below="30s", samples=1))
    worker(conn, silent_for="40s")
    async with hall.working():
        await until(lambda: told)
        conn.execute("UPDATE pgqueue.workers SET heartbeat_at = pgqueue.clock()")
        await until(lambda: len(told) >= 2)
    assert told.events() == [
        ("raised", "silent_worker", "worker host-1 4242"),
        ("cleared", "silent_worker", "worker host-1 4242"),
    ]


async def test_a_tick_that_was_missed(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, missed_tick=SOON)
    async with hall.working() as running:
        await until(lambda: running.keeper.token is not None)
        # there is no such day, so no scheduler can read it: it is overdue, and stays so for now; one left the code
        conn.execute(
            """INSERT INTO pgqueue.schedules (name, kind, queue, organization_id, user_id, cron, next_run_at, source,
                 definition, listed_at, held_at)
               SELECT e.name, 'Report', 'default', 'acme', 'ada', '0 0 30 2 *', n.now - interval '1 hour', e.source,
                 'x', n.now - e.ago, n.now - e.ago
               FROM (SELECT pgqueue.clock() AS now) AS n, (VALUES
                 ('nightly', 'added', interval '0'), ('gone', 'code', interval '1 hour')) AS e (name, source, ago)"""
        )
        await until(lambda: told)
        conn.execute("UPDATE pgqueue.schedules SET paused_at = pgqueue.clock()")
        await until(lambda: len(told) >= 2)
    assert told.events() == [
        ("raised", "missed_tick", "schedule nightly"),
        ("cleared", "missed_tick", "schedule nightly"),
    ]


async def test_a_breaker_that_is_open(hall: Hall, conn: Conn, database_url: str) -> None:
    told = Told()
    serve(hall, told, open_breaker=Wait(above="1ms", below="1ms", samples=1))
    breakers = Breakers(Settings(environment={}, database_url=database_url), fail_max=1)
    with pytest.raises(ConnectionError), breakers.calling("stripe", "api"):
        raise ConnectionError
    async with hall.working():
        await until(lambda: told)
        conn.execute("DELETE FROM pgqueue.breakers")
        await until(lambda: len(told) >= 2)
    breakers.close()
    assert told.events() == [
        ("raised", "open_breaker", "breaker stripe api"),
        ("cleared", "open_breaker", "breaker stripe api"),
    ]


async def test_what_swings_around_the_threshold_does_not_flap(hall: Hall, conn: Conn) -> None:
    told = Told()
    serve(hall, told, dead_letters=Level(above=4, below=2, samples=1))
    async with hall.working():
        for count in (4, 3, 5, 2, 4, 3):
            conn.execute("DELETE FROM pgqueue.dead_jobs")
            for _ in range(count):
                dead(conn, "Mail")
            seen = _version(conn)
            await until(lambda seen=seen: _version(conn) > seen + 1)  # type: ignore[misc]  # one more look, for sure
        assert told.events() == [("raised", "dead_letters", "kind Mail")]
        conn.execute("DELETE FROM pgqueue.dead_jobs")
        await until(lambda: len(told) == 2)


def _version(conn: Conn) -> int:
    row = conn.execute("SELECT coalesce(max(version), 0) FROM pgqueue.alerts").fetchone()
    assert row
    return int(row[0])


async def test_a_webhook_is_signed_and_a_receiver_can_check_it(
    hall: Hall, conn: Conn, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = base64.b64encode(b"a key of the receiver's").decode()
    monkeypatch.setenv("HOOK_SECRET", f"whsec_{key}")
    monkeypatch.setenv("HOOK_URL", hooked.url)
    webhook = Webhook(url="env:HOOK_URL", secret="env:HOOK_SECRET")
    serve(hall, dead_letters=Level(above=1, below=1, samples=1), webhooks=[webhook])
    dead(conn)
    async with hall.working():
        await until(lambda: hooked.posts)
    headers, body = hooked.posts[0]["headers"], hooked.posts[0]["body"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    digest = hmac.digest(b"a key of the receiver's", signed, "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["content-type"] == "application/json"


async def test_a_mail_says_what_and_where_to_look(hall: Hall, conn: Conn) -> None:
    with mail_receiver() as (mailbox, port):
        mail = Email(to=["ops@example.org"], sender="queue@example.org", host="127.0.0.1", port=port, tls="none")
        serve(hall, dead_letters=Level(above=1, below=1, samples=1), emails=[mail])
        job = dead(conn, "Mail\nBcc: x@example.org")
        async with hall.working():
            await until(lambda: mailbox.mails)
    letter = mailbox.mails[0]
    assert letter["Subject"].startswith("[pgqueue] raised: dead letters, kind Mail?Bcc")
    assert letter["Bcc"] is None
    payload = letter.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert f"pgqueue dead show {job}" in payload.decode()


async def test_the_log_is_a_channel(hall: Hall, conn: Conn) -> None:
    with structlog.testing.capture_logs() as lines:
        serve(hall, dead_letters=Level(above=1, below=1, samples=1), log=True)
        dead(conn)
        async with hall.working():
            await until(lambda: any(line["event"] == "alert.raised" for line in lines))
            conn.execute("DELETE FROM pgqueue.dead_jobs")
            await until(lambda: any(line["event"] == "alert.cleared" for line in lines))
    (raised,) = [line for line in lines if line["event"] == "alert.raised"]
    assert (raised["log_level"], raised["rule"], raised["subject"]) == ("error", "dead_letters", "kind Mail")
