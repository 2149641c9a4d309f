"""`pgqueue actions`: every act of a person leaves a line, written with the act itself."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue import App, Context, Job, JobContext, Queue, Schedule, Schedules, Settings
from pgqueue.db import run
from pgqueue.queries.supervision import Supervision
from pgqueue.sql import CHAPTERS
from tests.cli.rows import dead, ready, running, worker
from tests.conftest import new_database

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def _acts(cli: Cli) -> list[tuple[str, str, str, int]]:
    return [(one["by"], one["verb"], one["target"], one["affected"]) for one in cli("actions", "--json").json]


def test_nothing_was_done_yet(cli: Cli) -> None:
    assert cli("actions").out == "nobody did anything yet\n"


def test_each_act_is_recorded_the_last_first(cli: Cli, conn: Conn) -> None:
    worker(conn)
    job, letters = ready(conn), [dead(conn), dead(conn), dead(conn)]
    cli("queues", "pause", "default", "--by", "ann")
    cli("queues", "resume", "default", "--by", "bob")
    cli("jobs", "cancel", job, "--by", "ann")
    cli("dead", "requeue", letters[0], "--by", "ann")
    cli("dead", "discard", "--kind", "Mail", "--reason", "old", "--by", "bob")
    assert _acts(cli) == [
        ("bob", "discard", "dead letters", 2),
        ("ann", "requeue", "dead letters", 1),
        ("ann", "cancel", f"job {job}", 1),
        ("bob", "resume", "queue default", 1),
        ("ann", "pause", "queue default", 1),
    ]
    found = cli("actions", "--json").json
    assert found[0]["filter"] == {"kind": "Mail"}
    assert found[0]["reason"] == "old"
    assert found[1]["filter"] == {"ids": [letters[0]]}
    assert "dead letters" in cli("actions", "--verb", "requeue", "--by", "ann", "--since", "1h").out


def test_what_changed_nothing_is_not_recorded(cli: Cli, conn: Conn) -> None:
    job = dead(conn)
    cli("dead", "requeue", job, "--dry-run")
    cli("dead", "requeue", job + 1000)
    cli("queues", "pause", "nowhere")
    cli("jobs", "cancel", job + 1000)
    assert _acts(cli) == []


def test_the_act_and_its_line_are_one_commit(cli: Cli, conn: Conn, database_url: str) -> None:
    job = dead(conn)
    queue = Queue(Settings(environment={}), wake="off")
    with psycopg.connect(database_url) as caller:
        assert queue.requeue(caller, [job], by="ann") == [job]
        caller.rollback()
    assert _acts(cli) == []
    with psycopg.connect(database_url) as caller:
        queue.requeue(caller, [job], by="ann")
    assert _acts(cli) == [("ann", "requeue", "dead letters", 1)]


def test_a_program_that_cancels_is_not_a_person(cli: Cli, conn: Conn) -> None:
    queue = Queue(Settings(environment={}), wake="off")
    assert queue.cancel(conn, ready(conn), reason="stale") == "cancelled"
    assert queue.cancel(conn, running(conn), by="ann") == "asked"
    assert [act[:2] for act in _acts(cli)] == [("ann", "cancel")]


@pytest.mark.parametrize("statement", ["UPDATE pgqueue.actions SET done_by = 'nobody'", "DELETE FROM pgqueue.actions"])
def test_the_record_cannot_be_changed(cli: Cli, conn: Conn, statement: str) -> None:
    cli("dead", "requeue", dead(conn), "--by", "ann")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added to"):
        conn.execute(statement)
    assert [act[0] for act in _acts(cli)] == ["ann"]


def test_a_name_that_is_too_long_is_cut_and_fails_no_act(cli: Cli, conn: Conn) -> None:
    job = dead(conn)
    assert Queue(Settings(environment={}), wake="off").requeue(conn, [job], by="x" * 500) == [job]
    assert _acts(cli)[0][0] == "x" * 200


class Purge(Job):
    days: int = 30

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


app = App(queue=Queue(Settings(environment={}), wake="off"), jobs=[Purge])
ENTRY = ("--app", f"{__name__}:app", "--kind", "Purge", "--organization", "acme", "--user", "ann", "--every", "1h")
WORKER = "00000000-0000-4000-8000-000000000001"
# Verb, target and what the line says beside them; the words of the command.
STEERING: list[tuple[tuple[str, str, dict[str, object]], tuple[object, ...]]] = [
    (("pause", "queue default", {"for": "00:10:00"}), ("queues", "pause", "default", "--for", "10m")),
    (("resume", "queue default", {}), ("queues", "resume", "default")),
    (("scale", "queue default", {"workers": 6}), ("queues", "scale", "default", 6)),
    (("scale", "queue default", {"workers": None}), ("queues", "scale", "default", "--reset")),
    (("order", "queue default", {"order": "fair"}), ("queues", "order", "default", "fair")),
    (("order", "queue default", {"order": "unset"}), ("queues", "order", "default", "unset")),
    (("scale", "processes", {"processes": 4}), ("workers", "scale", 4)),
    (("scale", "processes", {"processes": None}), ("workers", "scale", "--reset")),
    (("drain", "workers", {"worker": WORKER}), ("workers", "drain", WORKER)),
    (("restart", "workers", {"queue": "default"}), ("workers", "restart", "--queue", "default")),
    (("add", "schedule purge", {}), ("schedules", "add", "purge", *ENTRY)),
    (("change", "schedule purge", {}), ("schedules", "add", "purge", *ENTRY, "--jitter", "5s", "--change")),
    (("pause", "schedule purge", {}), ("schedules", "pause", "purge")),
    (("resume", "schedule purge", {}), ("schedules", "resume", "purge")),
    (("run", "schedule purge", {"job": 1}), ("schedules", "run", "purge")),
    (("remove", "schedule purge", {}), ("schedules", "remove", "purge")),
    (("set", "limit Mail.a", {"running": 3}), ("limits", "set", "Mail.a", "--running", 3)),
    (("set", "limit rate:m", {"rate": "60/60000000/1"}), ("limits", "set", "rate:m", "--count", 60, "--per", "1m")),
    (("unset", "limit Mail.a", {}), ("limits", "unset", "Mail.a")),
    (("set", "weight acme", {"weight": 3}), ("weights", "set", "acme", 3)),
    (("unset", "weight acme", {}), ("weights", "unset", "acme")),
    (("open", "breaker pay host", {"for": "00:05:00"}), ("breakers", "open", "pay", "host", "--for", "5m")),
    (("close", "breaker pay host", {}), ("breakers", "close", "pay", "host")),
    (("reset", "breaker pay host", {}), ("breakers", "reset", "pay", "host")),
]
# What says again what holds already.
IDLE: list[tuple[object, ...]] = [
    ("queues", "resume", "default"),
    ("queues", "scale", "default", "--reset"),
    ("queues", "order", "default", "unset"),
    ("workers", "scale", "--reset"),
    ("workers", "restart", "--queue", "nowhere"),
    ("schedules", "remove", "purge"),
    ("limits", "unset", "Mail.a"),
    ("weights", "unset", "acme"),
    ("breakers", "close", "pay", "host"),
]


def test_every_verb_that_steers_leaves_its_line(cli: Cli, conn: Conn) -> None:
    conn.execute(
        """INSERT INTO pgqueue.workers (id, host, pid, version, queues, kinds, concurrency)
           VALUES (%s, 'h', 1, '1', '{default}', '{}', 1)""",
        [WORKER],
    )
    conn.execute("SELECT pgqueue.add_queue('default')")
    for _, words in STEERING:
        ran = cli(*words, "--by", "ann")
        assert ran.code == 0, (words, ran.err)
    for words in IDLE:
        cli(*words, "--by", "eve")
    found = list(reversed(cli("actions", "--json").json))
    assert [(one["verb"], one["target"], one["filter"]) for one in found] == [line for line, _ in STEERING]
    assert {(one["by"], one["affected"]) for one in found} == {("ann", 1)}


def test_entries_that_a_program_steers_say_for_whom(cli: Cli, conn: Conn) -> None:
    schedules = Schedules(app.queue)
    entry = Schedule("purge", Purge(), every="1h", context=Context("acme", "ann"))
    schedules.add(conn, entry, by="ann")
    schedules.change(conn, entry, by="eve")  # it is so already
    schedules.change(conn, Schedule("purge", Purge(), every="2h", context=Context("acme", "ann")), by="bob")
    schedules.pause(conn, "purge", by="ann")
    schedules.resume(conn, "purge", by="bob")
    schedules.remove(conn, "purge")
    assert [act[:2] for act in reversed(_acts(cli))] == [
        ("ann", "add"),
        ("bob", "change"),
        ("ann", "pause"),
        ("bob", "resume"),
        ("", "remove"),
    ]


def test_a_source_that_is_added_leaves_its_line(cli: Cli, server: str, template: str) -> None:
    with new_database(server, template) as url:
        for by in ("ann", "bob"):
            assert cli("sources", "add", "shop", url, "--by", by).code == 0
    assert _acts(cli) == [("ann", "add", "source shop", 1)]


def test_a_pause_that_ends_by_itself_is_ended_by_its_timer(cli: Cli, conn: Conn) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    cli("queues", "pause", "default", "--for", "10m", "--by", "ann")
    conn.execute("UPDATE pgqueue.queues SET resume_at = pgqueue.clock()")
    assert run(conn, Supervision().resume_due()) == ["default"]
    assert _acts(cli)[0] == ("timer", "resume", "queue default", 1)
    assert cli("actions", "--json").json[0]["reason"] == "the pause of ann is over"


def test_the_verbs_of_the_record_are_those_of_the_page() -> None:
    chapters = [files("pgqueue.sql").joinpath(f"{name}.sql").read_text("utf-8") for name in CHAPTERS]
    writes = re.compile(
        r"INSERT INTO pgqueue\.actions \(done_by, verb, [^)]+\)\s+"
        r"SELECT (?:left\(%\(by\)s::text, 200\)|'timer'), (.+?), '"
    )
    written = [verb for text in chapters for verb in writes.findall(text)]
    assert len(written) == sum(text.count("INSERT INTO pgqueue.actions") for text in chapters)
    page = (Path(__file__).parents[2] / "docs" / "triage.md").read_text("utf-8")
    table = page.partition("| `verb` |")[2].partition("\n\n")[0]
    named = {verb for line in table.splitlines()[2:] for verb in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {verb for words in written for verb in re.findall(r"'(\w+)'", words)}
