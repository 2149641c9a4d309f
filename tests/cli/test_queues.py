"""`pgqueue queues` and `pgqueue workers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue import Queue, Settings
from pgqueue.cli.database import SILENT
from pgqueue.db import run
from pgqueue.queries.control import Control
from tests.cli.rows import dead, enqueue, ready, relay, running, worker

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def test_a_queue_is_listed_with_its_jobs_by_state(cli: Cli, conn: Conn) -> None:
    worker(conn)
    running(conn)
    conn.execute("SELECT pgqueue.enqueue('Mail', '{}', 'acme', 'ann', delay => '1 hour')")
    ready(conn)
    dead(conn)
    enqueue(conn)
    (queue,) = cli("queues", "--json").json
    counts = {state: queue[state] for state in ("enqueued", "waiting", "held", "ready", "running", "dead", "workers")}
    assert counts == {"enqueued": 1, "waiting": 1, "held": 0, "ready": 1, "running": 1, "dead": 1, "workers": 1}
    assert 0 <= queue["oldest_ready_seconds"] < 60
    assert queue["at_least"] is False
    assert queue["paused_at"] is None


def test_a_queue_known_only_from_the_outbox_is_listed(cli: Cli, conn: Conn) -> None:
    enqueue(conn, queue="media")
    assert [(queue["queue"], queue["enqueued"]) for queue in cli("queues", "--json").json] == [("media", 1)]


def test_no_queues_yet_says_so(cli: Cli) -> None:
    assert "no queues yet" in cli("queues").out


def test_counts_are_right_aligned(cli: Cli, conn: Conn) -> None:
    for _ in range(12):
        enqueue(conn)
    relay(conn)
    lines = cli("queues").out.splitlines()
    end = lines[0].index("ready") + len("ready")
    assert lines[1][end - 3 : end] == " 12"


def test_counting_stops_at_a_limit_and_says_so(conn: Conn) -> None:
    for _ in range(5):
        ready(conn)
    (queue,) = run(conn, Control().queue_stats(silent=SILENT, most=3))
    assert (queue.ready, queue.at_least) == (3, True)


def test_a_paused_queue_is_not_claimed_from_until_it_is_resumed(cli: Cli, conn: Conn) -> None:
    job = ready(conn)
    ran = cli("queues", "pause", "default", "--by", "ann")
    assert (ran.code, ran.out) == (0, "queue default is paused; `pgqueue queues resume default` opens it again\n")
    claim = "SELECT id FROM pgqueue.claim(gen_random_uuid(), '{default}', '{10}', '30s')"
    assert conn.execute(claim).fetchall() == []
    (queue,) = cli("queues", "--json").json
    assert queue["paused_by"] == "ann"
    assert "paused" in cli("queues").out
    assert cli("queues", "resume", "default", "--json").json == {"queue": "default", "state": "open"}
    assert conn.execute(claim).fetchall() == [(job,)]


def test_pause_of_an_unknown_queue_lists_the_known_ones(cli: Cli, conn: Conn) -> None:
    ready(conn, queue="media")
    ready(conn, queue="default")
    for verb in ("pause", "resume"):
        ran = cli("queues", verb, "defualt")
        assert ran.code == 2
        assert "unknown queue 'defualt'" in ran.err
        assert "default, media" in ran.err


def test_workers_are_listed_and_silent_ones_marked(cli: Cli, conn: Conn) -> None:
    worker(conn, queues=["default", "high"])
    worker(conn, silent_for="5 minutes")
    found = {one["silent"]: one for one in cli("workers", "--json").json}
    assert found[False]["queues"] == ["default", "high"]
    assert found[True]["heartbeat_age_seconds"] > 299
    lines = cli("workers").out.splitlines()
    assert lines[1].split()[1:4] == ["alive", "host-1", "4242"]
    assert "5m ago" in lines[2]
    assert "silent" in lines[2]


def test_no_workers_says_how_to_start_one(cli: Cli) -> None:
    assert "pgqueue work --app" in cli("workers").out


def test_a_queue_known_only_from_the_outbox_is_steered_like_any_other(cli: Cli, conn: Conn) -> None:
    job = enqueue(conn, queue="media")
    assert "known (from their first job or worker on): media" in cli("queues", "pause", "meida").err
    assert cli("queues", "resume", "media").code == 0
    assert cli("queues", "pause", "media", "--by", "ann").code == 0
    relay(conn)
    claim = "SELECT id FROM pgqueue.claim(gen_random_uuid(), '{media}', '{10}', '30s')"
    assert conn.execute(claim).fetchall() == []
    cli("queues", "resume", "media")
    assert conn.execute(claim).fetchall() == [(job,)]
    for n, words in enumerate((("scale", "new-0", "3"), ("order", "new-1", "fair"))):
        enqueue(conn, queue=f"new-{n}")
        assert cli("queues", *words).code == 0


def test_a_program_may_pause_a_queue_that_only_the_outbox_knows(conn: Conn) -> None:
    queue = Queue(Settings(environment={}), wake="off")
    enqueue(conn, queue="media")
    assert queue.pause(conn, "media", by="ann") is True
    assert queue.pause(conn, "meida", by="ann") is False
