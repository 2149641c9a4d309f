"""The code's entries in the table: old and new workers side by side, rollbacks, entries that left, what people did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from pgqueue import Schedules
from pgqueue.db import run
from pgqueue.errors import ConfigurationError
from pgqueue.queries.schedules import Recurrence
from tests.sql.client import Connection, column, scalar
from tests.worker.clockwork import QUEUE, Purge, at, entry, put_clock, scheduler, settle, ticks

if TYPE_CHECKING:
    from pgqueue.worker.scheduler import Scheduler

pytestmark = pytest.mark.anyio
STEER = Schedules(QUEUE)
OLD, NEW = entry(cron="0 * * * *"), entry(cron="30 * * * *")


def cron(conn: Connection) -> str | None:
    return scalar(conn, "SELECT cron FROM pgqueue.schedules WHERE name = 'purge'")  # type: ignore[no-any-return]  # text


async def alive(conn: Connection, *moments: str, workers: tuple[Scheduler, ...]) -> None:
    """These workers look at each of these moments."""
    for moment in moments:
        put_clock(conn, moment)
        for one in workers:
            await settle(one)


async def test_the_newest_definition_rules_while_old_workers_live_and_start_again(
    database_url: str, conn: Connection
) -> None:
    async with scheduler(database_url, OLD) as old, scheduler(database_url, NEW) as new:
        await alive(conn, "2026-03-01 00:10:00", workers=(old,))
        assert cron(conn) == "0 * * * *"
        await alive(conn, "2026-03-01 00:10:10", workers=(new,))
        assert cron(conn) == "30 * * * *"
        written = scalar(conn, "SELECT xmin::text FROM pgqueue.schedules")
        await alive(conn, "2026-03-01 00:10:20", workers=(old, new, old, new))
        assert scalar(conn, "SELECT xmin::text FROM pgqueue.schedules") == written
        async with scheduler(database_url, OLD) as restarted:
            await alive(conn, "2026-03-01 00:10:24", workers=(restarted,))
        assert cron(conn) == "30 * * * *"
        for minute in range(11, 65):
            await alive(conn, f"2026-03-01 {minute // 60:02}:{minute % 60:02}", workers=(old, new))
    assert ticks(conn) == ["01 00:30"]


async def test_a_rollback_rules_when_no_worker_of_the_newer_code_lives(database_url: str, conn: Connection) -> None:
    async with scheduler(database_url, OLD) as old:
        await alive(conn, "2026-03-01 00:10:00", workers=(old,))
        async with scheduler(database_url, NEW) as new:
            await alive(conn, "2026-03-01 00:10:30", workers=(old, new))
        await alive(conn, "2026-03-01 00:11:00", "2026-03-01 00:11:30", workers=(old,))
        assert cron(conn) == "30 * * * *"
        await alive(conn, "2026-03-01 00:11:31", workers=(old,))
        assert cron(conn) == "0 * * * *"
        async with scheduler(database_url, NEW) as again:
            await alive(conn, "2026-03-01 00:12:00", workers=(again, old))
            assert cron(conn) == "0 * * * *", "the newer code was rolled back, and the older lives"
            await alive(conn, "2026-03-01 00:13:01", workers=(again,))
            assert cron(conn) == "30 * * * *"


async def test_a_change_of_arguments_in_the_code_keeps_the_tick_that_is_due(
    database_url: str, conn: Connection
) -> None:
    put_clock(conn, "2026-03-01 00:10")
    async with scheduler(database_url, entry(cron="0 * * * *")) as old:
        await settle(old)
    put_clock(conn, "2026-03-01 01:00:05")
    async with scheduler(database_url, entry(cron="0 * * * *", job=Purge(days=7))) as new:
        await settle(new)
    assert ticks(conn) == ["01 01:00"]
    assert column(conn, "SELECT args FROM pgqueue.outbox") == [{"days": 7}]


async def test_an_entry_fires_as_long_as_any_worker_has_it_in_its_code(database_url: str, conn: Connection) -> None:
    async with scheduler(database_url, OLD) as with_it, scheduler(database_url, entry("other", every="1d")) as without:
        await alive(conn, "2026-03-01 00:59:50", workers=(with_it, without))
        await alive(conn, "2026-03-01 01:00:00", workers=(without,))
        assert ticks(conn) == ["01 01:00"]
        await alive(conn, "2026-03-01 01:59:50", "2026-03-01 02:00:00", workers=(without,))
        assert ticks(conn) == ["01 01:00"]
        assert {row.name: row.state for row in STEER.all(conn)} == {"purge": "left", "other": "active"}
        await alive(conn, "2026-03-01 02:20:00", workers=(with_it,))
    assert ticks(conn) == ["01 01:00", "01 02:00"], "back in the code, the missed run is made up for"


async def test_an_entry_that_left_the_code_is_forgotten_after_a_month(database_url: str, conn: Connection) -> None:
    async with scheduler(database_url, OLD) as old, scheduler(database_url, entry("other", every="1d")) as new:
        await alive(conn, "2026-03-01 00:00", workers=(old, new))
        STEER.pause(conn, "purge", by="ann")
        await alive(conn, "2026-03-30 00:00", workers=(new,))
        assert {row.name for row in STEER.all(conn)} == {"purge", "other"}
        await alive(conn, "2026-03-31 00:00:01", workers=(new,))
    assert {row.name for row in STEER.all(conn)} == {"other"}


async def test_a_pause_outlives_every_deployment(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:10")
    async with scheduler(database_url, OLD) as one:
        await settle(one)
    STEER.pause(conn, "purge", by="ann")
    async with scheduler(database_url, NEW) as one:
        await settle(one)
        put_clock(conn, "2026-03-01 00:30")
        await settle(one)
    assert cron(conn) == "30 * * * *"
    assert ticks(conn) == []
    assert column(conn, "SELECT paused_by FROM pgqueue.schedules") == ["ann"]


async def test_an_entry_that_people_added_is_not_undone_by_the_code(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:10")
    STEER.add(conn, OLD)
    with capture_logs() as said:
        async with scheduler(database_url, NEW) as one:
            await settle(one)
            await settle(one)
    assert cron(conn) == "0 * * * *"
    assert [(line["event"], line["schedule"]) for line in said] == [("schedule.shadowed", "purge")]


async def test_an_entry_of_the_code_is_changed_and_removed_in_the_code(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:10")
    async with scheduler(database_url, OLD) as one:
        await settle(one)
    with pytest.raises(ConfigurationError, match=r"in the code of living workers.*pause it"):
        STEER.change(conn, NEW)
    with pytest.raises(ConfigurationError, match=r"in the code of living workers.*pause it"):
        STEER.remove(conn, "purge")
    put_clock(conn, "2026-03-01 00:11:01")
    STEER.remove(conn, "purge")
    assert STEER.all(conn) == []


async def test_workers_of_one_code_write_nothing_when_they_start(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:10")
    async with scheduler(database_url, OLD) as one, scheduler(database_url, OLD) as other:
        await settle(one)
        written = scalar(conn, "SELECT xmin::text FROM pgqueue.schedules")
        await settle(other)
        assert scalar(conn, "SELECT xmin::text FROM pgqueue.schedules") == written


async def test_a_new_zone_in_the_code_moves_the_next_run(database_url: str, conn: Connection) -> None:
    put_clock(conn, "2026-03-01 00:10")
    for zone, expected in (("UTC", "2026-03-01 02:30"), ("America/Sao_Paulo", "2026-03-01 05:30")):
        async with scheduler(database_url, entry(cron="30 2 * * *", time_zone=zone)) as one:
            await settle(one)
        assert column(conn, "SELECT next_run_at FROM pgqueue.schedules") == [at(expected)]


# ── the ledger's upkeep ───────────────────────────────────────────────────────────────────────────────────────────


def test_how_a_run_ended_is_noted_before_its_row_goes(conn: Connection) -> None:
    STEER.add(conn, OLD)
    outcomes = []
    for end in (
        "SELECT pgqueue.cancel(%s, '1 h', '')",
        "DELETE FROM pgqueue.outbox WHERE id = %s",  # a job of a kind that keeps no rows, done
        """WITH o AS (DELETE FROM pgqueue.outbox WHERE id = %s RETURNING *)
           INSERT INTO pgqueue.merged_jobs (id, survivor, queue, kind, payload_version, organization_id, user_id,
             correlation_id, trace_id, enqueued_at)
           SELECT id, 1, queue, kind, payload_version, organization_id, user_id, correlation_id, trace_id, enqueued_at
           FROM o""",
    ):
        job = STEER.run(conn, "purge")
        run(conn, Recurrence().keep())
        assert scalar(conn, "SELECT outcome FROM pgqueue.schedule_runs WHERE job_id = %s", job) is None
        conn.execute(end, [job])
        run(conn, Recurrence().keep())
        outcomes.append(scalar(conn, "SELECT outcome FROM pgqueue.schedule_runs WHERE job_id = %s", job))
    assert outcomes == ["cancelled", "completed", "merged"]
    assert STEER.all(conn)[0].last_outcome == "merged"


def test_the_ledger_is_pruned_but_for_the_last_run_of_each_entry(conn: Connection) -> None:
    STEER.add(conn, entry("yearly", cron="0 0 1 1 *"))
    conn.execute(
        """INSERT INTO pgqueue.schedule_runs (schedule, tick, job_id)
           SELECT s, pgqueue.clock() - d * interval '1 day', d FROM unnest('{yearly,gone}'::text[]) s,
                  generate_series(1, 5) d"""
    )
    assert run(conn, Recurrence().keep()) == [8]
    rest = "SELECT schedule || ' ' || job_id FROM pgqueue.schedule_runs ORDER BY 1"
    assert column(conn, rest) == ["gone 1", "yearly 1"]
    conn.execute("UPDATE pgqueue.schedule_runs SET tick = tick - interval '2 days'")
    assert run(conn, Recurrence().keep()) == [1]
    assert column(conn, rest) == ["yearly 1"]
