"""`pgqueue schedules`: what is shown of entries, and what people may do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pgqueue import App, Context, Job, JobContext, Queue, Schedule, Settings
from pgqueue.db import run
from pgqueue.doctor import examine
from pgqueue.queries.schedules import Recurrence
from pgqueue.schedule import entry_of
from pgqueue.worker.ticks import planned
from tests.cli.rows import worker

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

QUEUE = Queue(Settings(environment={}), wake="off")


class Purge(Job):
    days: int = 30

    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing to do."""


app = App(queue=QUEUE, jobs=[Purge])
HERE = f"{__name__}:app"
CONTEXT = Context("acme", "ann")
ADD = ("schedules", "add", "--app", HERE, "--kind", "Purge", "--organization", "acme", "--user", "ann")


def plan(conn: Conn) -> None:
    """What a worker does while nothing is due."""
    told = run(conn, Recurrence().tick([], [], ahead=timedelta(days=2)))
    run(conn, Recurrence().tick([planned(row, told.now).record() for row in told.coming], [], ahead=timedelta(days=2)))


def add(cli: Cli, name: str = "purge", *more: str) -> None:
    added = cli(*ADD, name, *(more or ("--cron", "30 2 * * *", "--time-zone", "America/Sao_Paulo")))
    assert added.code == 0, added.err


def test_an_entry_is_added_listed_shown_and_removed(cli: Cli, conn: Conn) -> None:
    add(cli)
    (listed,) = cli("schedules", "--json").json
    assert {name: listed[name] for name in ("name", "kind", "cron", "time_zone", "state", "source", "missed")} == {
        "name": "purge",
        "kind": "Purge",
        "cron": "30 2 * * *",
        "time_zone": "America/Sao_Paulo",
        "state": "active",
        "source": "added",
        "missed": "once",
    }
    assert "not planned yet" in cli("schedules").out
    plan(conn)
    assert "in " in cli("schedules", "list").out
    assert cli("schedules", "remove", "purge").out == "schedule purge is removed\n"
    assert cli("schedules").out.startswith("no schedules: name them in App(schedules=")


def test_the_next_five_runs_are_shown_in_its_zone_and_in_utc(cli: Cli, conn: Conn) -> None:
    add(cli)
    for _ in range(2):
        shown = cli("schedules", "show", "purge", "--json").json
        assert [run["local"][10:] for run in shown["next_runs"]] == ["T02:30:00-03:00"] * 5
        assert [run["utc"][10:] for run in shown["next_runs"]] == ["T05:30:00+00:00"] * 5
        assert all(datetime.fromisoformat(run["utc"]) > datetime.now(UTC) for run in shown["next_runs"])
        plan(conn)
    lines = cli("schedules", "show", "purge").out.splitlines()
    begin = lines.index("next runs")
    assert all("02:30:00 -03  =  " in line and line.endswith("05:30:00 UTC") for line in lines[begin + 1 : begin + 6])


def test_the_last_run_its_job_and_its_outcome_are_shown(cli: Cli, conn: Conn) -> None:
    add(cli)
    job = cli("schedules", "run", "purge", "--by", "bob", "--json").json["job_id"]
    (listed,) = cli("schedules", "--json").json
    assert (listed["last_job_id"], listed["last_outcome"], listed["last_asked_by"]) == (job, "enqueued", "bob")
    cli("jobs", "cancel", job)
    assert cli("schedules", "show", "purge", "--json").json["last_runs"][0]["outcome"] == "cancelled"
    assert f"job {job}  cancelled  (asked for by bob)" in cli("schedules", "show", "purge").out


def test_pause_and_resume(cli: Cli, conn: Conn) -> None:
    add(cli, "sweep", "--every", "10s", "--missed", "all", "--most", "5", "--jitter", "2s", "--args", '{"days": 1}')
    assert "resume sweep" in cli("schedules", "pause", "sweep", "--by", "bob").out
    (paused,) = cli("schedules", "--json").json
    assert (paused["state"], paused["paused_by"], paused["args"], paused["most"]) == ("paused", "bob", {"days": 1}, 5)
    assert "every 10s" in cli("schedules").out
    assert cli("schedules", "show", "sweep", "--json").json["next_runs"] == []
    assert cli("schedules", "resume", "sweep", "--json").json == {"schedule": "sweep", "state": "active"}
    assert len(cli("schedules", "show", "sweep", "--json").json["next_runs"]) == 5


def test_an_entry_is_changed_in_place(cli: Cli, conn: Conn) -> None:
    add(cli)
    taken = cli(*ADD, "purge", "--every", "1h")
    assert taken.code == 2
    assert "there is a schedule named 'purge'" in taken.err
    add(cli, "purge", "--every", "90s", "--change")
    assert [(one["cron"], one["every_seconds"]) for one in cli("schedules", "--json").json] == [(None, 90.0)]
    assert "nothing changed" in cli(*ADD, "purge", "--every", "90s", "--change").out
    assert cli(*ADD, "purge", "--every", "90s", "--change", "--json").json["state"] == "unchanged"
    assert [act["verb"] for act in cli("actions", "--json").json] == ["change", "add"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--cron", "0 0 30 2 *"), "days that exist"),
        (("--cron", "0 0 * * *", "--time-zone", "Mars/Olympus"), "unknown time zone 'Mars/Olympus'"),
        ((), "give either cron"),
        (("--cron", "0 0 * * *", "--every", "1h"), "give either cron"),
        (("--every", "10"), "write a length of time with its unit"),
        (("--every", "1h", "--args", "[]"), "write a JSON object"),
        (("--every", "1h", "--args", "{"), "no JSON"),
        (("--every", "1h", "--args", '{"days": "x"}'), "does not fit Purge: days"),
        (("--every", "1h", "--kind", "Pugre"), "unknown kind 'Pugre'"),
    ],
)
def test_a_faulty_entry_says_what_to_write(cli: Cli, conn: Conn, words: tuple[str, ...], expected: str) -> None:
    ran = cli(*ADD, "purge", *words)
    assert ran.code == 2
    assert expected in ran.err
    assert ran.err.count("\n") == 1
    assert cli("schedules", "--json").json == []


def test_an_entry_without_a_context_is_refused(cli: Cli, conn: Conn) -> None:
    ran = cli("schedules", "add", "purge", "--app", HERE, "--kind", "Purge", "--every", "1h")
    assert ran.code == 2
    assert "no context" in ran.err
    assert "--organization, --user" in ran.err


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "run", "remove"])
def test_an_unknown_entry_lists_the_known_ones(cli: Cli, conn: Conn, verb: str) -> None:
    add(cli)
    ran = cli("schedules", verb, "pugre")
    assert ran.code == 2
    assert "there is no schedule 'pugre'; known: purge" in ran.err
    assert "names are 1 to 63" in cli("schedules", verb, "'; DROP").err


def test_a_cron_that_this_machine_cannot_read_is_shown_with_the_reason(cli: Cli, conn: Conn) -> None:
    add(cli)
    conn.execute("UPDATE pgqueue.schedules SET time_zone = 'Mars/Olympus'")
    shown = cli("schedules", "show", "purge")
    assert shown.code == 0
    assert "unknown time zone" in shown.out


def test_an_entry_that_nobody_fires_is_a_finding(database_url: str, cli: Cli, conn: Conn) -> None:
    add(cli)
    plan(conn)

    def found() -> dict[str, str]:
        return {
            one.code: f"{one.severity} {one.title}"
            for one in examine(conn, "pgqueue", database_url)
            if one.code.startswith("schedule")
        }

    assert found() == {}
    conn.execute("UPDATE pgqueue.schedules SET next_run_at = pgqueue.clock() - interval '3 minutes'")
    assert found() == {"schedule-overdue": "fault 1 schedule(s) overdue: purge, purge for 3 minutes"}
    cli("schedules", "pause", "purge")
    assert found() == {}


def test_an_entry_that_left_the_code_is_a_note_while_other_workers_live(
    database_url: str, cli: Cli, conn: Conn
) -> None:
    entry = entry_of(Schedule("old", Purge(), every="10s", context=CONTEXT), QUEUE)
    run(conn, Recurrence().sync([entry]))
    conn.execute("UPDATE pgqueue.schedules SET listed_at = 'epoch', changed_at = 'epoch'")
    codes = [one.code for one in examine(conn, "pgqueue", database_url)]
    assert "schedule-overdue" in codes
    worker(conn)
    codes = [one.code for one in examine(conn, "pgqueue", database_url)]
    assert "schedule-left" in codes
    assert "schedule-overdue" not in codes
    assert "left" in cli("schedules").out
