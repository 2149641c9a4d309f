"""`pgqueue alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from pgqueue import Alerts, App, Email, Job, JobContext, Queue, Settings, Webhook
from pgqueue.alerts import Step
from pgqueue.queries.alerts import AlertQueries
from tests.guards.receivers import http_receiver, mail_receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


class Works(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


@pytest.fixture
def with_alerts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Alerts | None], None]:
    """Let ``--app tests.cli.test_alerts:app`` have these alerts."""

    def serve(alerts: Alerts | None) -> None:
        app = App(queue=Queue(Settings(environment={}, alerts=alerts), wake="off"), jobs=[Works])
        monkeypatch.setattr("tests.cli.test_alerts.app", app, raising=False)

    return serve


def write(conn: Conn) -> None:
    step = Step(
        "dead_letters", "kind Mail", 1, 0, raised=True, value=2.0, event="raised", text="2 of Mail \x1b[31mdied"
    )
    query = AlertQueries().write([step], ["log"])
    conn.execute(query.sql, query.params)


def test_nothing_is_raised(cli: Cli) -> None:
    assert cli("alerts").out == "no alert is raised\n"
    assert cli("alerts", "messages").out == "no messages\n"


def test_what_is_raised_is_listed_and_is_a_fault(cli: Cli, conn: Conn) -> None:
    write(conn)
    ran = cli("alerts")
    assert ran.code == 1
    assert r"2 of Mail \x1b[31mdied" in ran.out
    (one,) = cli("alerts", "list", "--json").json
    assert (one["rule"], one["subject"], one["value"]) == ("dead_letters", "kind Mail", 2.0)


def test_messages_say_whether_they_arrived(cli: Cli, conn: Conn) -> None:
    write(conn)
    assert "not yet" in cli("alerts", "messages", "--unsent").out
    conn.execute("UPDATE pgqueue.alert_messages SET next_try_at = NULL, error = 'no answer', tries = 8")
    assert "given up" in cli("alerts", "messages").out
    conn.execute("UPDATE pgqueue.alert_messages SET sent_at = now()")
    assert cli("alerts", "messages", "--unsent", "--json").json == []
    assert len(cli("alerts", "messages", "--json").json) == 1


def test_every_channel_is_tested(bare_cli: Cli, with_alerts: Callable[[Alerts | None], None]) -> None:
    told: list[object] = []
    with http_receiver() as hooked, mail_receiver() as (mailbox, port), structlog.testing.capture_logs() as lines:
        mail = Email(to=["ops@example.org"], sender="q@example.org", host="127.0.0.1", port=port, tls="none")
        with_alerts(Alerts(webhooks=[Webhook(url=hooked.url)], emails=[mail], hooks=[told.append]))
        ran = bare_cli("alerts", "test", "--app", "tests.cli.test_alerts:app", "--json")
    assert ran.code == 0
    assert [one["error"] for one in ran.json] == [None] * 4
    assert hooked.posts[0]["type"] == "alert.test"
    assert mailbox.mails[0]["Subject"] == "[pgqueue] test: test, pgqueue"
    assert len(told) == 1
    assert [line["event"] for line in lines] == ["alert.test"]


def test_a_channel_that_fails_its_test_says_why(bare_cli: Cli, with_alerts: Callable[[Alerts | None], None]) -> None:
    with mail_receiver() as (_, port):
        pass  # nobody listens there any more
    webhook = Webhook(url=f"http://user:hidden@127.0.0.1:{port}/also-hidden")
    with_alerts(Alerts(log=False, webhooks=[webhook]))
    ran = bare_cli("alerts", "test", "--app", "tests.cli.test_alerts:app")
    assert ran.code == 1
    assert ran.out.startswith("webhook 127.0.0.1: the webhook cannot be reached: ")
    assert "hidden" not in ran.out


def test_alerts_that_reach_nobody_fail_the_test(bare_cli: Cli, with_alerts: Callable[[Alerts | None], None]) -> None:
    with_alerts(Alerts(log=False))
    assert bare_cli("alerts", "test", "--app", "tests.cli.test_alerts:app").code == 1
    with_alerts(None)
    assert bare_cli("alerts", "test", "--app", "tests.cli.test_alerts:app").code == 2
