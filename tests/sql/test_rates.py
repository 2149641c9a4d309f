"""Rates (GCRA): what may start in any window is the burst and what comes in that time, whoever asks and whenever."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.sql.client import (
    NO_TERM,
    Connection,
    Relay,
    advance_clock,
    claim,
    column,
    ended,
    enqueue_row,
    scalar,
    settle,
    statement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TEN_A_MINUTE = ["10/60000000/2/1 rate:mail=acme"]  # 6 s each, two at once


class Time:
    """A clock that only the test moves."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.at = timedelta()

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        advance_clock(self.conn, self.at)


@pytest.fixture
def time(conn: Connection) -> Time:
    return Time(conn)


def started(conn: Connection, relay: Relay) -> list[int]:
    relay.tick()
    return sorted(job.id for job in claim(conn))


def test_the_burst_starts_at_once_and_the_rest_at_the_pace_of_the_rate(
    conn: Connection, relay: Relay, time: Time
) -> None:
    jobs = enqueue_row(conn, 4, limits=TEN_A_MINUTE)
    assert started(conn, relay) == jobs[:2]
    time.passes(5)
    assert started(conn, relay) == []
    time.passes(1.1)
    assert started(conn, relay) == [jobs[2]]
    time.passes(6.1)
    assert started(conn, relay) == [jobs[3]]


def test_slots_that_nobody_used_do_not_pile_up(conn: Connection, relay: Relay, time: Time) -> None:
    enqueue_row(conn, 20, limits=TEN_A_MINUTE)
    assert len(started(conn, relay)) == 2
    time.passes(3600)  # no worker ran
    assert len(started(conn, relay)) == 2


def test_jobs_of_another_key_are_not_delayed(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 9, limits=TEN_A_MINUTE)
    others = enqueue_row(conn, 1, limits=["10/60000000/2/1 rate:mail=other"]) + enqueue_row(conn, 1)
    assert set(others) < set(started(conn, relay))


def test_a_retry_takes_of_the_rate_again(conn: Connection, relay: Relay, time: Time) -> None:
    enqueue_row(conn, 2, limits=TEN_A_MINUTE)
    relay.tick()
    settle(conn, *(ended(job, "retry", 0) for job in claim(conn)))
    assert started(conn, relay) == []
    time.passes(6.1)
    assert len(started(conn, relay)) == 1


def test_a_held_job_spends_no_attempt(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 3, limits=TEN_A_MINUTE)
    relay.tick()
    assert column(conn, "SELECT attempt FROM pgqueue.jobs WHERE hold IS NOT NULL") == [0]


def test_a_heavy_job_is_not_passed_by_light_ones(conn: Connection, relay: Relay, time: Time) -> None:
    enqueue_row(conn, 1, limits=["10/60000000/3/2 rate:a"])
    heavy = enqueue_row(conn, 1, limits=["10/60000000/3/3 rate:a"])
    light = enqueue_row(conn, 1, limits=["10/60000000/3/1 rate:a"])
    relay.tick()
    claim(conn)
    for _ in range(2):
        light += enqueue_row(conn, 1, limits=["10/60000000/3/1 rate:a"])
        time.passes(5.9)
        assert started(conn, relay) == []
    time.passes(0.5)
    assert started(conn, relay) == heavy


def test_a_weight_above_the_burst_waits_for_the_whole_burst(conn: Connection, relay: Relay, time: Time) -> None:
    jobs = enqueue_row(conn, 2, limits=["10/60000000/2/9 rate:a"])
    assert started(conn, relay) == jobs[:1]
    time.passes(12.1)
    assert started(conn, relay) == jobs[1:]


def test_a_rate_and_a_limit_are_both_kept(conn: Connection, relay: Relay, time: Time) -> None:
    jobs = enqueue_row(conn, 5, limits=["1 a", "10/60000000/2/1 rate:a"])
    relay.tick()
    (first,) = claim(conn)
    assert first.id == jobs[0]
    time.passes(60)
    assert started(conn, relay) == []
    settle(conn, ended(first, "complete"))
    assert started(conn, relay) == [jobs[1]]
    assert scalar(conn, "SELECT count(*) FROM pgqueue.permits") == 1


def test_a_rate_that_is_raised_at_run_time_holds_at_once(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 9, limits=TEN_A_MINUTE)
    relay.tick()
    claim(conn)
    parameters = {"name": "rate:mail", "running": None, "rate": "600/60000000/100", "by": "ann"}
    conn.execute(statement("set_limit").encode(), parameters)
    assert len(started(conn, relay)) == 7


def test_somebody_who_holds_a_key_does_not_stop_the_relay(
    conn: Connection, other: Connection, relay: Relay, time: Time
) -> None:
    other.execute("SELECT pgqueue.take('rate:mail=acme', '10/60000000/2', 1)")  # the key's first row, uncommitted
    (job,) = enqueue_row(conn, 1, limits=TEN_A_MINUTE)
    (plain,) = enqueue_row(conn, 1)
    assert started(conn, relay) == [plain]
    other.rollback()
    time.passes(0.2)
    assert started(conn, relay) == [job]


def test_taking_from_outside_counts_with_the_jobs(conn: Connection, relay: Relay, time: Time) -> None:
    take = "SELECT extract(epoch FROM pgqueue.take('rate:mail=acme', '10/60000000/2', 1))::float8"
    assert scalar(conn, take) == 0
    enqueue_row(conn, 3, limits=TEN_A_MINUTE)
    assert len(started(conn, relay)) == 1
    assert 5 < scalar(conn, take) <= 6
    time.passes(12.1)
    assert len(started(conn, relay)) == 2
    assert scalar(conn, take) > 5


@pytest.mark.parametrize("seed", range(4))
def test_no_window_sees_more_than_the_burst_and_the_rate(conn: Connection, time: Time, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    burst, seconds = chance.choice([1, 3, 10]), chance.choice([0.5, 2.0])
    spec = f"10/{int(seconds * 10_000_000)}/{burst}"
    relay = Relay(conn, NO_TERM)
    starts: list[tuple[float, int]] = []
    for _ in range(60):
        for _ in range(chance.choice([0, 0, 1, 12])):
            enqueue_row(conn, 1, limits=[f"{spec}/{chance.choice([1, 1, 2])} rate:a"])
        if chance.random() < 0.3:
            weight = chance.randint(1, 2)
            if not scalar(conn, "SELECT pgqueue.take('rate:a', %s, %s)", spec, weight):
                starts.append((now(conn), min(weight, burst)))
        if chance.random() < 0.1:
            relay.state = None
        relay.tick()
        jobs = claim(conn)
        weights: dict[int, int] = dict(
            conn.execute("SELECT id, split_part(split_part(limits[1], ' ', 1), '/', 4)::int FROM pgqueue.jobs")
        )
        starts += [(now(conn), min(weights[job.id], burst)) for job in jobs]
        settle(conn, *(ended(job, chance.choice(["complete", "retry"]), 0.1) for job in jobs))
        time.passes(chance.choice([0, 0.1, 0.4, seconds, 5 * seconds]))
    assert starts
    assert violations(starts, burst, seconds) == []


def now(conn: Connection) -> float:
    moment: datetime = scalar(conn, "SELECT pgqueue.clock()")
    return moment.timestamp()


def violations(starts: Sequence[tuple[float, int]], burst: int, seconds: float) -> list[str]:
    """Look at every window that begins and ends with a start; starts are seen a moment after they were given."""
    found = []
    for first in range(len(starts)):
        taken = 0
        for last in range(first, len(starts)):
            taken += starts[last][1]
            window = starts[last][0] - starts[first][0]
            if taken > burst + (window + 0.2) / seconds:
                found.append(f"{taken} in {window:.3f} s with a burst of {burst} and {seconds} s each")
    return found
