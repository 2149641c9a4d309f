"""What a person writes into `jobs` at a console stops nobody: it is refused, or it lives on like the others."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.sql.client import (
    Connection,
    Marks,
    Relay,
    claim,
    column,
    ended,
    enqueue_row,
    expire_leases,
    rescue,
    scalar,
    settle,
    state_of,
)
from tests.sql.rows import into_jobs

LARGEST = 32767


@pytest.mark.parametrize(
    ("columns", "check"),
    [
        ({"hold": "unique:zz"}, "jobs_hold_readable"),
        ({"hold": "unique:"}, "jobs_hold_readable"),
        ({"hold": "unique:ABCD"}, "jobs_hold_readable"),
        ({"hold": "unique:abc"}, "jobs_hold_readable"),
        ({"errors": "{}"}, "jobs_errors_listed"),
        ({"errors": "7"}, "jobs_errors_listed"),
        ({"expires_at": "infinity"}, "jobs_expires_at_finite"),
        ({"run_at": "infinity"}, "jobs_run_at_sane"),
        ({"not_before": "infinity"}, "jobs_not_before_sane"),
        ({"doomed": "who knows"}, "jobs_doomed_known"),
        ({"cost": 0}, "jobs_cost_positive"),
        ({"lane": 9}, "jobs_lane_known"),
    ],
)
def test_what_nobody_could_read_is_refused(conn: Connection, columns: dict[str, object], check: str) -> None:
    place = {} if {"hold", "run_at"} & set(columns) else {"position": 1}
    with pytest.raises(psycopg.errors.CheckViolation, match=check):
        into_jobs(conn, **columns, **place)


def test_a_hash_that_a_person_wrote_is_released_like_any(conn: Connection, relay: Relay) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    job = into_jobs(conn, hold="unique:00ff")
    relay.tick()
    assert [each.id for each in claim(conn)] == [job]


@pytest.mark.parametrize("moment", ["complete", "retry", "snooze", "give_back", "refuse", "crash", "bury"])
@pytest.mark.parametrize(
    "columns",
    [
        {"attempt": LARGEST, "crashes": LARGEST, "refusals": LARGEST},
        {"attempt": -LARGEST, "crashes": -LARGEST, "refusals": -LARGEST},
        {"claims": 2**31 - 1},
        {"errors": '[7, "requeued_by", null, {"requeued_by": 1, "at": "yesterday, I think"}]'},
        {"errors": json.dumps([{"trace": "x"}, "y"] * 150)},
    ],
    ids=["counted to the end", "counted below nothing", "claimed to the end", "errors of all kinds", "many errors"],
)
def test_every_ending_takes_it_with_the_others(
    conn: Connection, relay: Relay, columns: dict[str, object], moment: str
) -> None:
    relay.tick()
    [good] = enqueue_row(conn)
    bad = into_jobs(conn, run_at=scalar(conn, "SELECT pgqueue.clock()"), **columns)
    relay.tick()
    both = claim(conn)
    assert {job.id for job in both} == {good, bad}
    note = json.dumps({"reason": "dead"}) if moment == "bury" else "{}"
    assert settle(conn, *(ended(job, moment, 0, note) for job in both)) == set()
    assert "running" not in {state_of(conn, job) for job in (good, bad)}


def test_a_job_that_was_claimed_to_the_end_of_its_counter_keeps_its_fence(conn: Connection, relay: Relay) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    into_jobs(conn, run_at=scalar(conn, "SELECT pgqueue.clock()"), claims=2**31 - 2)
    relay.tick()
    [first] = claim(conn)
    assert settle(conn, ended(first, "give_back", 0)) == set()
    relay.tick()
    [second] = claim(conn)
    assert (first.claims, second.claims) == (2**31 - 1, -(2**31))  # below every number that it had
    assert settle(conn, ended(first, "complete")) == {first.id}
    assert settle(conn, ended(second, "complete")) == set()


def test_rescue_counts_no_further_than_it_can(conn: Connection, relay: Relay) -> None:
    relay.tick()
    good = enqueue_row(conn)
    bad = into_jobs(conn, run_at=scalar(conn, "SELECT pgqueue.clock()"), crashes=LARGEST, attempt=LARGEST)
    relay.tick()
    both = claim(conn)
    expire_leases(conn)
    assert rescue(conn, both) == {*good, bad}
    assert column(conn, "SELECT doomed FROM pgqueue.jobs ORDER BY id") == [None, "crashed"]


def test_a_position_that_nobody_gave_does_not_carry_the_mark_away(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn)
    relay.tick()
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    bad = into_jobs(conn, position=2**62)
    relay.tick()
    relay.tick()
    marks = Marks.of(conn)
    assert marks.v <= marks.head + 1
    good = enqueue_row(conn, 3)
    relay.tick()
    assert {job.id for job in claim(conn)} == {*good, bad}
