"""The examples are run as a reader would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pgqueue import Context
from tests.conftest import sqlalchemy_address
from tests.docs.pages import ROOT

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


def test_an_old_payload_is_brought_up_to_date(reader: Reader, conn: Connection) -> None:
    conn.execute("SELECT pgqueue.enqueue('ResizeImage', '{\"image_id\": 7, \"side\": 32}', 'org-1', 'user-1')")
    assert reader.works("versions:app") == "image 7: 32 x 32\n"


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
