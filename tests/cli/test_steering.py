"""Steering from the command line: pause for a while, scale, restart, drain; who did it and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.rows import ready, worker

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def only(rows: list[Any]) -> Any:
    (row,) = rows
    return row


def test_a_queue_is_paused_for_a_while(cli: Cli, conn: Conn) -> None:
    ready(conn)
    ran = cli("queues", "pause", "default", "--for", "10m", "--by", "ann")
    assert ran.out == "queue default is paused; opens by itself in 10m\n"
    left = conn.execute("SELECT extract(epoch FROM resume_at - paused_at) FROM pgqueue.queues").fetchone()
    assert left == (600,)
    assert only(cli("queues", "--json").json)["resume_at"] is not None
    assert "paused until" in cli("queues").out
    cli("queues", "resume", "default")
    assert only(cli("queues", "--json").json)["resume_at"] is None


@pytest.mark.parametrize(("length", "told"), [("ten", "--for is 'ten'"), ("10", "--for is '10'"), ("0s", "--for is 0")])
def test_a_pause_of_no_length_is_refused(cli: Cli, conn: Conn, length: str, told: str) -> None:
    ready(conn)
    ran = cli("queues", "pause", "default", "--for", length)
    assert ran.code == 2
    assert told in ran.err
    assert conn.execute("SELECT paused_at FROM pgqueue.queues").fetchall() == [(None,)]


def test_a_scaled_queue_shows_by_whom_and_when(cli: Cli, conn: Conn) -> None:
    ready(conn)
    assert cli("queues", "scale", "default", "6", "--by", "ann").code == 0
    queue = only(cli("queues", "--json").json)
    assert (queue["workers_per_host"], queue["workers_by"]) == (6, "ann")
    assert queue["workers_at"]
    assert "6 at once per host, by ann" in cli("queues").out
    assert cli("queues", "scale", "default", "--reset", "--json").json == {"queue": "default", "workers_per_host": None}
    queue = only(cli("queues", "--json").json)
    assert (queue["workers_per_host"], queue["workers_by"], queue["workers_at"]) == (None, None, None)


def test_scaling_by_nobody_in_particular_names_the_login(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    ready(conn)
    cli("queues", "scale", "default", "2")
    assert only(cli("queues", "--json").json)["workers_by"] == "bob"


@pytest.mark.parametrize(
    "words",
    [
        ("queues", "scale", "default"),
        ("queues", "scale", "default", "2", "--reset"),
        ("queues", "scale", "default", "0"),
        ("queues", "scale", "default", "many"),
        ("workers", "scale"),
        ("workers", "scale", "0"),
        ("workers", "scale", "3", "--reset"),
    ],
)
def test_scaling_to_nothing_sensible_is_refused(cli: Cli, conn: Conn, words: tuple[str, ...]) -> None:
    ready(conn)
    assert cli(*words).code == 2


def test_an_unknown_queue_is_neither_scaled_nor_paused(cli: Cli, conn: Conn) -> None:
    ready(conn, queue="media")
    for words in (("scale", "meida", "3"), ("pause", "meida", "--for", "1m"), ("resume", "meida")):
        ran = cli("queues", *words)
        assert ran.code == 2
        assert "unknown queue 'meida'" in ran.err
        assert "media" in ran.err


def test_living_workers_are_asked_to_restart(cli: Cli, conn: Conn) -> None:
    worker(conn, queues=["default", "high"])
    worker(conn, queues=["default"])
    worker(conn, silent_for="5 minutes")
    assert len(cli("workers", "restart", "--queue", "high", "--json").json["workers"]) == 1
    assert cli("workers", "restart", "--by", "ann").out.startswith("2 worker(s) asked to restart")
    asked = conn.execute("SELECT asked, asked_by FROM pgqueue.workers ORDER BY heartbeat_at DESC").fetchall()
    assert asked == [("restart", "ann"), ("restart", "ann"), (None, None)]
    assert "to restart" in cli("workers").out


def test_one_worker_is_named_by_the_beginning_of_its_id(cli: Cli, conn: Conn) -> None:
    conn.execute(
        """INSERT INTO pgqueue.workers (id, host, pid, version, queues, kinds, concurrency)
           SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'h', n, '1', '{default}', '{}', 1
           FROM generate_series(1, 2) n"""
    )
    ran = cli("workers", "drain", "00000000-0000-4000")
    assert (ran.code, "begins 2 ids" in ran.err) == (2, True)
    ran = cli("workers", "drain", "ffff")
    assert (ran.code, "'ffff' is no worker" in ran.err) == (2, True)
    assert cli("workers", "drain", "00000000-0000-4000-8000-000000000002").code == 0
    assert conn.execute("SELECT pid, asked FROM pgqueue.workers ORDER BY pid").fetchall() == [(1, None), (2, "drain")]


def test_nobody_to_ask_is_told(cli: Cli, conn: Conn) -> None:
    worker(conn)
    for words, told in ((("--queue", "nowhere"), "serves 'nowhere'"), (("none",), "is no worker")):
        ran = cli("workers", "restart", *words)
        assert ran.code == 2
        assert told in ran.err


def test_processes_are_scaled_for_every_host(cli: Cli, conn: Conn) -> None:
    assert cli("workers", "scale", "4", "--by", "ann").out == "each host runs 4 processes\n"
    assert cli("workers", "scale", "5", "--by", "bob", "--json").json == {"processes_per_host": 5}
    assert conn.execute("SELECT name, value, set_by FROM pgqueue.overrides").fetchall() == [("processes", 5, "bob")]
    assert cli("workers", "scale", "--reset").code == 0
    assert conn.execute("SELECT count(*) FROM pgqueue.overrides").fetchone() == (0,)
