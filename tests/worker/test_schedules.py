"""Schedules as a worker fires them: what is due, what was missed, what people say of an entry, what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from pgqueue import Schedules
from pgqueue.schedule import entry_of
from tests.sql.client import Connection, column, scalar
from tests.worker.clockwork import (
    CONTEXT,
    QUEUE,
    SETTINGS,
    CountingLink,
    Purge,
    Sweep,
    at,
    entry,
    jobs,
    put_clock,
    scheduler,
    settle,
    ticks,
)
from tests.worker.harness import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict

    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio
STEER = Schedules(QUEUE)
DAILY = entry(cron="30 2 * * *")


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    """What was logged."""
    with capture_logs() as lines:
        yield lines


# ── ticks ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_entry_makes_one_job_at_its_tick_and_none_before(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 02:29:59")
    async with scheduler(database_url, DAILY) as one:
        await settle(one)
        assert jobs(conn) == 0
        put_clock(conn, "2026-03-01 02:30:00")
        await settle(one)
    assert ticks(conn) == ["01 02:30"]
    assert column(conn, "SELECT run_at FROM pgqueue.outbox") == [at("2026-03-01 02:30")]
    assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at("2026-03-02 02:30")]


async def test_a_tick_enqueues_what_an_enqueue_of_its_job_would(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00")
    async with scheduler(database_url, entry(job=Sweep(), every="1m")) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 00:01")
        await settle(one)
    QUEUE.enqueue(conn, Sweep(), context=CONTEXT)
    query = "SELECT to_jsonb(o) - '{id,run_at,enqueued_at,correlation_id,trace_id}'::text[] FROM pgqueue.outbox o"
    ticked, enqueued = column(conn, query)
    assert ticked == enqueued


async def test_each_tick_has_a_correlation_and_a_trace_of_its_own(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00")
    async with scheduler(database_url, entry(every="1m")) as one:
        for minute in range(3):
            put_clock(conn, f"2026-03-01 00:0{minute}")
            await settle(one)
    ids = conn.execute("SELECT correlation_id, trace_id FROM pgqueue.outbox").fetchall()
    assert len({one for pair in ids for one in pair}) == 4


async def test_a_thousand_entries_cost_one_statement_a_tick(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00:05")
    link = CountingLink(database_url, SETTINGS, "schedules")
    entries = [entry(f"entry-{n}", every="10s") for n in range(1000)]
    async with scheduler(database_url, *entries, link=link) as one:
        await settle(one)
        for tick in range(1, 4):
            put_clock(conn, f"2026-03-01 00:00:{tick}0")
            link.statements = 0
            await one.tick()
            assert link.statements == 1
            assert jobs(conn) == tick * 1000
    assert scalar(conn, "SELECT count(*) FROM pgqueue.schedule_runs") == 3000


async def test_without_entries_no_connection_is_opened_for_them(database_url: str, conn: Connection) -> None:
    link = CountingLink(database_url, SETTINGS, "schedules")
    async with scheduler(database_url, link=link) as one:
        assert await one.tick() == SETTINGS.poll.total_seconds()
        await one.tick()
    assert (link.statements, link.conn) == (0, None)


async def test_jitter_spreads_entries_the_same_way_for_all_workers(database_url: str, conn: Connection) -> None:
    names = [f"entry-{n}" for n in range(40)]
    starts: list[dict[str, Any]] = []
    for _ in range(2):
        conn.execute("TRUNCATE pgqueue.schedules, pgqueue.schedule_runs, pgqueue.outbox")
        put_clock(conn, "2026-03-01 00:00:30")
        async with scheduler(database_url, *(entry(name, every="1m", jitter="30s") for name in names)) as one:
            await settle(one)
            put_clock(conn, "2026-03-01 00:01")
            await settle(one)
        starts.append(
            dict(
                conn.execute(
                    "SELECT r.schedule, o.run_at FROM pgqueue.schedule_runs r JOIN pgqueue.outbox o ON o.id = r.job_id"
                ).fetchall()
            )
        )
    assert starts[0] == starts[1]
    waits = {(start - at("2026-03-01 00:01")).total_seconds() for start in starts[0].values()}
    assert len(waits) > 30
    assert min(waits) >= 0
    assert max(waits) < 30


# ── missed runs ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"missed": "skip"}, []),
        ({"missed": "once"}, ["01 04:00"]),
        ({"missed": "all"}, ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]),
        ({"missed": "all", "most": 2}, ["01 03:00", "01 04:00"]),
    ],
)
async def test_after_a_downtime_the_policy_decides(
    database_url: str,
    conn: Connection,
    said: list[EventDict],
    policy: dict[str, Any],
    expected: list[str],
) -> None:
    hourly = entry(cron="0 * * * *", **policy)
    put_clock(conn, "2026-03-01 00:30")
    async with scheduler(database_url, hourly) as one:
        await settle(one)
    put_clock(conn, "2026-03-01 04:30")
    async with scheduler(database_url, hourly) as one:
        await settle(one)
        assert ticks(conn) == expected
        put_clock(conn, "2026-03-01 05:00")
        await settle(one)
    assert ticks(conn) == [*expected, "01 05:00"]
    assert conn.execute("SELECT missed_runs, missed_at FROM pgqueue.schedules").fetchall() == [
        (4, at("2026-03-01 04:30"))
    ]
    (line,) = [line for line in said if line["event"] == "schedule.missed"]
    assert line == {
        "event": "schedule.missed",
        "log_level": "warning",
        "schedule": "purge",
        "missed": 4,
        "since": "2026-03-01T01:00:00+00:00",
        "policy": policy["missed"],
        "jobs": len(expected),
    }


async def test_a_tick_that_is_late_by_less_than_a_minute_is_not_missed(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00")
    async with scheduler(database_url, entry(cron="30 2 * * *", missed="skip")) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 02:30:59")
        await settle(one)
    assert ticks(conn) == ["01 02:30"]
    assert column(conn, "SELECT missed_runs FROM pgqueue.schedules") == [0]


# ── what people do ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_paused_entry_makes_no_jobs_and_misses_nothing(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:30")
    async with scheduler(database_url, entry(cron="0 * * * *", missed="all")) as one:
        await settle(one)
        STEER.pause(conn, "purge", by="ann")
        put_clock(conn, "2026-03-01 05:30")
        await settle(one)
        assert jobs(conn) == 0
        STEER.resume(conn, "purge")
        await settle(one)
        assert jobs(conn) == 0
        put_clock(conn, "2026-03-01 06:00")
        await settle(one)
    assert ticks(conn) == ["01 06:00"]
    assert column(conn, "SELECT missed_runs FROM pgqueue.schedules") == [0]


def test_a_run_that_is_asked_for_stands_beside_the_ticks(conn: Connection) -> None:
    STEER.add(conn, DAILY)
    STEER.pause(conn, "purge")
    job = STEER.run(conn, "purge", by="ann")
    (row,) = STEER.all(conn)
    assert (row.state, row.last_job_id, row.last_asked_by, row.last_outcome) == ("paused", job, "ann", "enqueued")
    assert row.next_run_at is None


async def test_an_entry_that_was_added_is_fired_by_workers_that_know_nothing_of_it(
    database_url: str, conn: Connection
) -> None:
    put_clock(conn, "2026-03-01 00:00:30")
    async with scheduler(database_url) as one:
        await settle(one)
        STEER.add(conn, entry("report", every="1m"))
        await settle(one)
        put_clock(conn, "2026-03-01 00:01")
        await settle(one)
    assert ticks(conn, "report") == ["01 00:01"]


async def test_a_change_of_zone_moves_the_next_run(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00")
    STEER.add(conn, DAILY)
    async with scheduler(database_url) as one:
        await settle(one)
        assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at("2026-03-01 02:30")]
        STEER.change(conn, entry(cron="30 2 * * *", time_zone="America/Sao_Paulo"))
        await settle(one)
    assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at("2026-03-01 05:30")]


async def test_a_change_of_arguments_leaves_the_next_run(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:00")
    STEER.add(conn, DAILY)
    async with scheduler(database_url) as one:
        await settle(one)
        STEER.change(conn, entry(cron="30 2 * * *", job=Purge(days=7)))
    assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at("2026-03-01 02:30")]
    assert column(conn, "SELECT args FROM pgqueue.schedules") == [{"days": 7}]


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_entry_that_cannot_be_worked_out_stops_no_other(
    database_url: str, conn: Connection, said: list[EventDict]
) -> None:
    put_clock(conn, "2026-03-01 00:00:30")
    for name in ("a", "b", "c"):
        STEER.add(conn, entry(name, every="1m"))
    conn.execute("UPDATE pgqueue.schedules SET every = NULL, cron = '0 0 30 2 *' WHERE name = 'b'")
    async with scheduler(database_url) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 00:01")
        await settle(one)
    assert column(conn, "SELECT schedule FROM pgqueue.schedule_runs ORDER BY 1") == ["a", "c"]
    assert [(line["event"], line["schedule"]) for line in said] == [("schedule.unreadable", "b")]


async def test_an_entry_that_the_outbox_refuses_stops_no_other(
    database_url: str, conn: Connection, said: list[EventDict]
) -> None:
    put_clock(conn, "2026-03-01 00:00:30")
    for name in ("a", "b", "c", "d", "e"):
        STEER.add(conn, entry(name, every="1m"))
    conn.execute("""UPDATE pgqueue.schedules SET options = '{"priority": 99}' WHERE name = 'b'""")
    conn.execute("""UPDATE pgqueue.schedules SET options = '{"limits": "none"}' WHERE name = 'd'""")
    async with scheduler(database_url) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 00:01")
        await settle(one)
    assert column(conn, "SELECT schedule FROM pgqueue.schedule_runs ORDER BY 1") == ["a", "c", "e"]
    assert {(line["event"], line["schedule"]) for line in said} == {
        ("schedule.unreadable", "b"),
        ("schedule.unreadable", "d"),
    }
    assert not any("acme" in line["error"] or "days" in line["error"] for line in said), "rows hold arguments"


async def test_a_worker_fires_what_its_app_lists_and_runs_it(hall: Hall) -> None:
    hall.serve(Purge)
    hall.app.schedules = [entry_of(entry(every="1s"), hall.queue)]
    async with hall.working():
        await until(lambda: "completed" in hall.states())
    (row,) = STEER.all(hall.conn)
    assert (row.source, row.state) == ("code", "active")
    assert row.last_run_at is not None
