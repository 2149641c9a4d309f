"""Rows that somebody wrote by hand, and kinds that this worker does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pgqueue import Death, Job, JobContext, JobFailed
from tests.worker.harness import Hall, until

pytestmark = pytest.mark.anyio


class Number(Job, version=2):
    n: int

    @classmethod
    def upgrade(cls, args: dict[str, Any], version: int) -> dict[str, Any]:
        return {"n": args["old"].strip()} if version == 1 else args

    async def run(self, app: Any, ctx: JobContext) -> None:
        app.append(self.n)

    async def on_dead(self, app: Any, session: object, death: Death) -> None:
        raise AssertionError("its arguments cannot be read")


class Other(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        app.append("other")


class Heard(JobFailed):
    async def run(self, app: Any, ctx: JobContext) -> None:
        app.append(f"heard {self.reason}")


GARBAGE = [
    "{}",
    '{"n": "x"}',
    '{"n": 1, "extra": 2}',
    '{"n": {"n": 1}}',
    '{"n": 1e9999}',
    '{"n": null}',
    '{"n": ' + "[" * 500 + "]" * 500 + "}",
    '{"": ""}',
]


def by_hand(hall: Hall, args: str, *, kind: str = "Number", version: int = 2) -> int:
    row = hall.conn.execute(
        "SELECT pgqueue.enqueue(%s, %s::text::jsonb, 'acme', 'ann', payload_version => %s)", [kind, args, version]
    ).fetchone()
    assert row
    return int(row[0])


async def test_garbage_between_good_rows_is_buried_alone(hall: Hall) -> None:
    ran: list[Any] = []
    hall.serve(Number, handle=ran, listeners=[Heard])
    good, bad = [], []
    for number, args in enumerate(GARBAGE):
        good.append(hall.enqueue(Number(n=number)))
        bad.append(by_hand(hall, args))
    await hall.work_off()
    assert {hall.state(job_id) for job_id in good} == {"completed"}
    assert {(hall.state(job_id), hall.dead(job_id, "reason")) for job_id in bad} == {("dead", "invalid")}
    assert sorted(n for n in ran if isinstance(n, int)) == list(range(len(GARBAGE)))
    assert ran.count("heard invalid") == len(GARBAGE)
    assert [moment for _, moment in hall.ledger.moments].count("bury") == len(GARBAGE)


@pytest.mark.parametrize("args", ["[]", "null", "17", '"text"'])
async def test_arguments_that_are_no_object_are_refused_by_the_table(hall: Hall, args: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="args"):
        by_hand(hall, args)


async def test_the_letter_of_garbage_names_the_field_and_not_the_value(hall: Hall) -> None:
    hall.serve(Number, handle=[])
    job_id = by_hand(hall, '{"n": "hunter2"}')
    await hall.work_off()
    assert hall.dead(job_id, "error").startswith("n: ")
    assert "hunter2" not in hall.dead(job_id, "error")


async def test_an_older_payload_is_brought_up_to_date(hall: Hall) -> None:
    ran: list[Any] = []
    hall.serve(Number, handle=ran)
    by_hand(hall, '{"old": " 7 "}', version=1)
    odd = [by_hand(hall, args, version=1) for args in ('{"old": 7}', "{}", '{"old": "x"}')]
    await hall.work_off()
    assert ran == [7]
    assert [hall.state(job_id) for job_id in odd] == ["dead"] * 3


@pytest.mark.parametrize(("kind", "version"), [("Unheard", 1), ("Number", 3)])
async def test_what_this_worker_does_not_know_is_given_back_and_finally_parked(
    hall: Hall, kind: str, version: int
) -> None:
    ran: list[Any] = []
    hall.serve(Number, Other, handle=ran)
    job_id = by_hand(hall, '{"n": 1}', kind=kind, version=version)
    good = hall.enqueue(Other())
    for _ in range(6):
        await hall.work_off()
        hall.conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE run_at IS NOT NULL")
    assert hall.state(good) == "completed"
    assert hall.state(job_id) == "held"
    assert hall.job(job_id, "attempt") == 0
    assert {moment for job, moment in hall.ledger.moments if job == job_id} == {"refuse"}


async def test_a_worker_that_knows_a_parked_kind_takes_it(hall: Hall) -> None:
    ran: list[Any] = []
    hall.serve(Number, handle=ran)
    job_id = by_hand(hall, "{}", kind="Other", version=1)
    for _ in range(6):
        await hall.work_off()
        hall.conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE run_at IS NOT NULL")
    assert hall.state(job_id) == "held"
    hall.serve(Number, Other, handle=ran)
    await hall.work_off()
    assert (hall.state(job_id), ran) == ("completed", ["other"])


async def test_a_refused_job_waits_longer_each_time(hall: Hall) -> None:
    hall.serve(Other, handle=[])
    job_id = by_hand(hall, "{}", kind="Unheard", version=1)
    waits = []
    for _ in range(3):
        await hall.work_off()
        waits.append(round(hall.wait_of(job_id)))
        hall.conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock()")
    assert waits == [1, 2, 4]


async def test_a_job_that_was_cancelled_while_its_worker_was_lost_does_not_run(hall: Hall) -> None:
    ran: list[Any] = []
    hall.serve(Other, handle=ran)
    job_id = hall.enqueue(Other(), delay="1h")
    async with hall.working():
        await until(lambda: hall.state(job_id) == "waiting")
        hall.conn.execute("UPDATE pgqueue.jobs SET cancel_requested = true, run_at = pgqueue.clock()")
        await until(lambda: hall.state(job_id) == "cancelled")
    assert ran == []


async def test_due_times_in_the_past_and_far_ahead_are_kept_apart(hall: Hall) -> None:
    ran: list[Any] = []
    hall.serve(Other, handle=ran)
    hall.conn.execute("SELECT pgqueue.enqueue('Other', '{}', 'acme', 'ann', run_at => '2001-01-01Z')")
    ahead = hall.enqueue(Other(), delay="3000d")
    await hall.work_off()
    assert ran == ["other"]
    assert hall.state(ahead) in {"waiting", "enqueued"}
    hall.advance(timedelta(days=1))
