"""`pgqueue actions`: every act of a person leaves a line, written with the act itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue import Queue, Settings
from tests.cli.rows import dead, ready, running, worker

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
