"""The examples are run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest

from pgqueue import Context
from tests.conftest import new_database, sqlalchemy_address
from tests.docs.pages import ROOT
from tests.guards.receivers import http_receiver, mail_receiver

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

EXAMPLES = ROOT / "examples"
CONTEXT = Context(organization_id="org-1", user_id="user-1")


class Reader:
    """Somebody who sits in examples/ with the address in the environment."""

    def __init__(self, url: str) -> None:
        address = sqlalchemy_address(url).render_as_string(hide_password=False)
        self.environment = os.environ | {"PGQUEUE_DATABASE_URL": address, "PYTHONWARNINGS": "ignore"}

    def runs(self, *arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=EXAMPLES, env=self.environment, capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def supervises(self, folder: str, app: str) -> str:
        """Somebody who sits in the folder of the example, beside its configuration."""
        command = [sys.executable, "-m", "pgqueue", "supervise", "--app", app, "--until-empty"]
        done = subprocess.run(
            command,
            cwd=EXAMPLES / folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def works(self, app: str) -> str:
        return self.runs("-m", "pgqueue", "work", "--app", app, "--until-empty")


@pytest.fixture
def reader(database_url: str) -> Reader:
    return Reader(database_url)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples can be imported."""
    monkeypatch.syspath_prepend(EXAMPLES)


def states(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT kind, state FROM pgqueue.all_jobs ORDER BY id").fetchall()


def test_the_quickstart_runs_in_two_commands(reader: Reader, conn: Connection) -> None:
    reader.runs("quickstart.py")
    assert states(conn) == [("SendWelcome", "enqueued")]
    assert reader.works("quickstart:app") == "welcome, ada@example.org\n"
    assert states(conn) == [("SendWelcome", "completed")]


def test_every_way_into_the_queue_leads_there(reader: Reader, conn: Connection) -> None:
    reader.runs("enqueueing.py")
    reader.works("enqueueing:app")
    found = conn.execute("SELECT state, count(*) FROM pgqueue.all_jobs GROUP BY state ORDER BY state").fetchall()
    assert found == [("completed", 1005), ("waiting", 2)]


def test_an_invoice_is_charged_in_one_commit(reader: Reader, conn: Connection, example: None) -> None:
    outcomes: Any = import_module("outcomes")
    conn.execute(outcomes.TABLES)
    conn.execute("INSERT INTO invoices (id, amount) VALUES (%s, 5)", [invoice := uuid4()])
    outcomes.queue.enqueue(conn, outcomes.ChargeInvoice(invoice_id=invoice), context=CONTEXT)
    reader.works("outcomes:app")
    assert conn.execute("SELECT state FROM invoices").fetchall() == [("charged",)]
    assert states(conn) == [("ChargeInvoice", "completed")]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("busy", "waiting"),
        ("strange", "waiting"),
        ("unsubscribed", "discarded"),
        ("unknown", "dead"),
        ("fine", "completed"),
    ],
)
def test_each_outcome_ends_as_the_text_says(
    reader: Reader, conn: Connection, example: None, answer: str, state: str
) -> None:
    outcomes: Any = import_module("outcomes")
    conn.execute(outcomes.TABLES)
    outcomes.queue.enqueue(conn, outcomes.RemindCustomer(invoice_id=uuid4(), answer=answer), context=CONTEXT)
    reader.works("outcomes:app")
    assert states(conn)[0] == ("RemindCustomer", state)


def test_a_death_is_heard(reader: Reader, conn: Connection, example: None) -> None:
    outcomes: Any = import_module("outcomes")
    conn.execute(outcomes.TABLES)
    outcomes.queue.enqueue(conn, outcomes.RemindCustomer(invoice_id=uuid4(), answer="unknown"), context=CONTEXT)
    reader.works("outcomes:app")
    assert conn.execute("SELECT told FROM alerts").fetchall() == [("RemindCustomer died: dead",)]


def test_each_executor_runs_its_job_and_bombs_hurt_nobody(reader: Reader, conn: Connection) -> None:
    reader.runs("executors.py", "memory", "loop")
    told = reader.works("executors:app")
    assert "called in the event loop" in told
    assert "wrote page 2 in a thread" in told
    assert "memory: attempts, " in told
    assert "loop: attempts, the job ran longer than its timeout of 1 s" in told
    assert [state for _, state in states(conn)] == ["completed"] * 3 + ["dead"] * 2
    assert conn.execute("SELECT resized FROM images").fetchall() == [(True,)]


def test_an_old_payload_is_brought_up_to_date(reader: Reader, conn: Connection) -> None:
    conn.execute("SELECT pgqueue.enqueue('ResizeImage', '{\"image_id\": 7, \"side\": 32}', 'org-1', 'user-1')")
    assert reader.works("versions:app") == "image 7: 32 x 32\n"


def test_what_recurs_runs_when_it_is_asked_for_and_is_listed(reader: Reader, conn: Connection) -> None:
    assert reader.runs("recurring.py").startswith("job ")
    assert "purged what is older than 7 days" in reader.works("recurring:app")
    found = conn.execute("SELECT name, source, paused_by FROM pgqueue.schedules ORDER BY name").fetchall()
    assert found == [("dispatch", "code", None), ("purge", "code", None), ("purge-week", "added", "ann")]
    assert "America/Sao_Paulo" in reader.runs("-m", "pgqueue", "schedules")


def test_of_equal_jobs_one_does_the_work(reader: Reader, conn: Connection) -> None:
    reader.runs("uniqueness.py")
    printed = reader.works("uniqueness:app")
    assert sorted(printed.splitlines()) == [
        "feed 1 up to 2",
        "published 1, asked by schedule",
        "warned the owner of 1",
    ]
    found = conn.execute("SELECT state, count(*) FROM pgqueue.all_jobs GROUP BY state ORDER BY state").fetchall()
    assert found == [("completed", 3), ("merged", 105), ("waiting", 1)]
    conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")
    assert reader.works("uniqueness:app") == "indexed 'a new text'\n"


def test_running_twice_is_the_same_as_running_once(reader: Reader, conn: Connection, example: None) -> None:
    tables = (EXAMPLES / "idempotency.py").read_text("utf-8").split('TABLES = """')[1].split('"""')[0]
    conn.execute(cast("Any", tables))
    reader.runs("idempotency.py")
    printed = reader.works("idempotency:app")
    conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")  # whoever found the lock taken has another look
    printed += reader.works("idempotency:app")
    assert printed.splitlines() in [[f"sent 1 with 'pgqueue-{job}' under a lock"] for job in (3, 4)]
    assert conn.execute("SELECT count(*) FROM credits").fetchall() == [(1,)]


def test_a_supervisor_follows_the_file_beside_the_application(reader: Reader, conn: Connection) -> None:
    reader.environment = reader.environment | {"PGQUEUE_CONFIG": str(EXAMPLES / "supervised/pgqueue.toml")}
    reader.runs("supervised/billing.py")
    del reader.environment["PGQUEUE_CONFIG"]
    # two processes print: a line's end may come after the other's words
    told = sorted(re.findall(r"invoice \d|report \d{4}", reader.supervises("supervised", "billing:app")))
    assert told == ["invoice 0", "invoice 1", "invoice 2", "report 2024", "report 2025"]
    assert {state for _, state in states(conn)} == {"completed"}


def test_limited_jobs_all_run_in_the_end(reader: Reader, conn: Connection) -> None:
    reader.runs("limits.py")
    printed = reader.works("limits:app").splitlines()
    assert sorted(printed) == sorted(
        f"{organization}: {what}"
        for organization in ("acme", "globex")
        for what in (
            "receipt to ann@example.com",
            *(f"invitation to {n}@example.com" for n in range(3)),
            *(f"address of {name}" for name in ("ann", "bob", "eve")),
        )
    )
    assert conn.execute("SELECT FROM pgqueue.permits p, pgqueue.jobs j WHERE j.id = ANY (p.jobs)").fetchall() == []


def test_the_light_organization_does_not_wait_for_the_heavy_one(reader: Reader) -> None:
    reader.runs("fairness.py")
    printed = reader.works("fairness:app").splitlines()
    assert len(printed) == 101
    assert printed.index("light: row 1") < 3


def test_a_request_handler_takes_from_the_rate_of_the_jobs(conn: Connection, example: None) -> None:
    limits: Any = import_module("limits")
    assert [limits.may_look_up(conn, "acme") for _ in range(3)] == [True, True, False]


def test_an_open_circuit_spends_no_attempt_until_it_is_closed(
    reader: Reader, conn: Connection, example: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    breakers: Any = import_module("breakers")
    breakers.queue.enqueue_many(conn, [breakers.ChargeCard(cents=n) for n in (1, 2, 3)], context=CONTEXT)
    reader.environment["PAYMENTS_ARE_DOWN"] = "yes"
    reader.works("breakers:app")
    attempts = "SELECT args ->> 'cents', state, attempt FROM pgqueue.all_jobs ORDER BY id"
    assert conn.execute(attempts).fetchall() == [("1", "waiting", 1), ("2", "waiting", 1), ("3", "waiting", 0)]
    del reader.environment["PAYMENTS_ARE_DOWN"]
    reader.runs("-m", "pgqueue", "breakers", "close", "payments", "api.payments.example")
    conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")
    assert reader.works("breakers:app").count(" cents once for pgqueue-") == 3


def test_every_channel_of_the_example_gets_its_test(reader: Reader) -> None:
    with http_receiver() as hooked, mail_receiver() as (mailbox, port):
        reader.environment |= {"ALERT_URL": hooked.url, "ALERT_SECRET": "a secret", "MAIL_PORT": str(port)}
        said = reader.runs("-m", "pgqueue", "alerts", "test", "--app", "alerts:app")
        assert mailbox.mails
    assert "hook page: sent" in said
    assert "paging somebody: test pgqueue" in said
    assert "webhook-signature" in hooked.posts[0]["headers"]


def test_secrets_are_refused_masked_and_dead_letters_have_an_end(reader: Reader, conn: Connection) -> None:
    refused = reader.runs("data_care.py").splitlines()
    assert [line.split(" looks like a secret")[0] for line in refused] == ["CallPartner.note"] * 2
    assert "hunter2" not in "".join(refused)
    reader.works("data_care:app")
    assert conn.execute("SELECT kind, state FROM pgqueue.all_jobs ORDER BY id").fetchall() == [
        ("ImportFeed", "waiting"),
        ("CallPartner", "completed"),
    ]
    (error,) = conn.execute("SELECT errors -> 0 ->> 'error' FROM pgqueue.jobs").fetchone() or ("",)
    assert error == "cannot reach postgresql://ada:***@db.example.org/feeds"


def test_what_is_enqueued_in_the_shops_database_runs_on_the_queues(
    reader: Reader, conn: Connection, server: str, template: str
) -> None:
    with new_database(server, template) as shop:
        reader.runs("-m", "pgqueue", "sources", "add", "shop", shop)
        reader.environment |= {"SHOP_DATABASE_URL": shop, "PGQUEUE_SOURCES": f"shop={shop}"}
        job = int(reader.runs("sources.py").removeprefix("job "))
        assert states(conn) == []
        command = [sys.executable, "-m", "pgqueue", "work", "--app", "sources:app"]
        with subprocess.Popen(
            command, cwd=EXAMPLES, env=reader.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "packed a lamp\n"
            worker.terminate()
        found = conn.execute("SELECT id, kind, state FROM pgqueue.all_jobs").fetchall()
        assert found == [(job, "PackOrder", "completed")]
