"""Many processes tick at once, one is killed, one slept: each tick still becomes one job."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue import Schedules
from pgqueue.db import run
from pgqueue.queries.schedules import Recurrence
from pgqueue.worker.ticks import planned
from tests.sql.client import Connection, column, scalar
from tests.worker.clockwork import QUEUE, at, entry, jobs, put_clock, scheduler, settle, ticks
from tests.worker.harness import eventually
from tests.worker.jobs import Note
from tests.worker.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
STEER = Schedules(QUEUE)
DAILY = entry(cron="30 2 * * *")


class Ticker(threading.Thread):
    """A process of its own, as far as the database can tell."""

    def __init__(self, url: str, until: threading.Event) -> None:
        super().__init__()
        self._url, self._until = url, until
        self.error: Exception | None = None

    def run(self) -> None:
        queries = Recurrence()
        try:
            with psycopg.connect(self._url, autocommit=True) as conn:
                plans: list[Any] = []
                while not self._until.is_set():
                    told = run(conn, queries.tick([p.record() for p in plans], [], ahead=timedelta(minutes=5)))
                    plans = [planned(row, told.now) for row in told.coming]
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            self.error = error


def test_eight_processes_without_a_leader_fire_each_tick_once(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00", speed=100)
    for name in ("a", "b", "c"):
        STEER.add(conn, entry(name, every="1s", missed="all", most=1000))
    enough = threading.Event()
    tickers = [Ticker(database_url, enough) for _ in range(8)]
    for ticker in tickers:
        ticker.start()
    while scalar(conn, "SELECT count(*) FROM pgqueue.schedule_runs") < 900 and all(t.is_alive() for t in tickers):
        enough.wait(0.05)
    enough.set()
    for ticker in tickers:
        ticker.join()
    assert [ticker.error for ticker in tickers] == [None] * 8
    for name in ("a", "b", "c"):
        found = column(conn, "SELECT tick FROM pgqueue.schedule_runs WHERE schedule = %s ORDER BY tick", name)
        assert found == [found[0] + n * timedelta(seconds=1) for n in range(len(found))]
    assert jobs(conn) == scalar(conn, "SELECT count(DISTINCT job_id) FROM pgqueue.schedule_runs")


def test_a_process_that_is_killed_before_its_commit_leaves_the_tick_to_another(
    database_url: str, conn: Connection
) -> None:
    queries, ahead = Recurrence(), timedelta(minutes=2)
    put_clock(conn, "2026-03-01 00:00:30")
    STEER.add(conn, entry(every="1m"))
    told = run(conn, queries.tick([], [], ahead=ahead))
    told = run(conn, queries.tick([planned(row, told.now).record() for row in told.coming], [], ahead=ahead))
    plan = [planned(row, told.now).record() for row in told.coming]
    put_clock(conn, "2026-03-01 00:01")
    with psycopg.connect(database_url) as victim:
        assert [one.name for one in run(victim, queries.tick(plan, [], ahead=ahead)).moved] == ["purge"]
        assert run(conn, queries.tick(plan, [], ahead=ahead)).moved == []
        conn.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT")
    assert jobs(conn) == 0
    assert [one.name for one in run(conn, queries.tick(plan, [], ahead=ahead)).moved] == ["purge"]
    assert run(conn, queries.tick(plan, [], ahead=ahead)).moved == []
    assert (jobs(conn), ticks(conn)) == (1, ["01 00:01"])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE pgqueue.schedules SET paused_at = pgqueue.clock()",
        "UPDATE pgqueue.schedules SET next_run_at = next_run_at + interval '1 second'",
        "DELETE FROM pgqueue.schedules",
        "UPDATE pgqueue.schedules SET source = 'code', definition = '', held_at = 'epoch', listed_at = 'epoch'",
    ],
)
def test_a_plan_that_the_entry_has_left_behind_fires_nothing(database_url: str, conn: Connection, change: str) -> None:
    queries, ahead = Recurrence(), timedelta(minutes=2)
    put_clock(conn, "2026-03-01 00:00:30")
    STEER.add(conn, entry(every="1m"))
    plan: list[dict[str, Any]] = []
    for _ in range(2):
        told = run(conn, queries.tick(plan, [], ahead=ahead))
        plan = [planned(row, told.now).record() for row in told.coming]
    put_clock(conn, "2026-03-01 00:01")
    conn.execute(change)
    assert run(conn, queries.tick(plan, [], ahead=ahead)).moved == []
    assert jobs(conn) == 0


def test_a_plan_from_before_a_long_sleep_fires_nothing(conn: Connection) -> None:
    queries, ahead = Recurrence(), timedelta(days=2)
    put_clock(conn, "2026-03-01 00:00")
    STEER.add(conn, entry(cron="30 2 * * *", missed="skip"))
    told = run(conn, queries.tick([], [], ahead=ahead))
    told = run(conn, queries.tick([planned(row, told.now).record() for row in told.coming], [], ahead=ahead))
    plan = [planned(row, told.now).record() for row in told.coming]
    put_clock(conn, "2026-03-01 02:31:01")
    assert run(conn, queries.tick(plan, [], ahead=ahead)).moved == []
    put_clock(conn, "2026-03-01 02:30:59")
    assert len(run(conn, queries.tick(plan, [], ahead=ahead)).moved) == 1


async def test_the_ledger_outlives_a_clock_that_was_put_back(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 02:00")
    async with scheduler(database_url, DAILY) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 02:30")
        await settle(one)
        conn.execute("UPDATE pgqueue.schedules SET next_run_at = %s", [at("2026-03-01 02:30")])
        await settle(one)
    assert (jobs(conn), ticks(conn)) == (1, ["01 02:30"])
    assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at("2026-03-02 02:30")]


def test_worker_processes_lose_and_double_no_tick_when_one_is_killed(hall: Hall, tmp_path: Path) -> None:
    STEER.add(hall.conn, entry("second", job=Note(text="ticked"), every="1s", missed="all"))
    count = "SELECT count(*) FROM pgqueue.schedule_runs"
    with ExitStack() as stack:
        workers = [stack.enter_context(Process(tmp_path, hall.url)) for _ in range(3)]
        for worker in workers:
            worker.says("worker.ready")
        eventually(lambda: scalar(hall.conn, count) >= 2)
        workers[0].popen.kill()
        before = scalar(hall.conn, count)
        eventually(lambda: scalar(hall.conn, count) >= before + 2)
        STEER.pause(hall.conn, "second")
        made = column(hall.conn, "SELECT tick FROM pgqueue.schedule_runs ORDER BY tick")
        eventually(lambda: set(hall.states()) == {"completed"})
    assert made == [made[0] + n * timedelta(seconds=1) for n in range(len(made))]
    assert len(hall.states()) == len(made)
    assert {note.split()[0] for note in hall.effects()} == {"ticked"}
