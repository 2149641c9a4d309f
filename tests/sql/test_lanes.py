"""Priorities inside a queue: higher lanes first, but never all of the room while lower ones have work."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sql.client import Connection, Relay, claim, ended, enqueue_row, scalar, settle

NORMAL, HIGH, LOW = 0, 1, 2


def claimed_lanes(conn: Connection, limit: int) -> Counter[int]:
    jobs = claim(conn, limit)
    assert len(jobs) <= limit
    return Counter(
        row[0] for row in conn.execute("SELECT lane FROM pgqueue.jobs WHERE id = ANY (%s)", [[j.id for j in jobs]])
    )


def test_high_goes_before_normal_and_normal_before_low(conn: Connection, relay: Relay) -> None:
    for lane in (LOW, NORMAL, HIGH):
        enqueue_row(conn, 100, priority=lane)
    relay.tick()
    found = claimed_lanes(conn, 64)
    assert found[HIGH] in {55, 56}
    assert found[NORMAL] >= 6
    assert found[HIGH] + found[NORMAL] + found[LOW] == 64
    assert found[LOW] >= 1


def test_what_lower_lanes_do_not_need_goes_back(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 100, priority=HIGH)
    enqueue_row(conn, 1, priority=LOW)
    relay.tick()
    assert claimed_lanes(conn, 80) == {HIGH: 79, LOW: 1}
    assert claimed_lanes(conn, 80) == {HIGH: 21}


@pytest.mark.parametrize("lanes", [(HIGH, NORMAL), (NORMAL, LOW), (HIGH, LOW)])
def test_one_place_at_a_time_starves_nobody(conn: Connection, relay: Relay, lanes: tuple[int, int]) -> None:
    upper, lower = lanes
    for lane in lanes:
        enqueue_row(conn, 300, priority=lane)
    relay.tick()
    found = sum((claimed_lanes(conn, 1) for _ in range(200)), Counter[int]())
    assert found[upper] + found[lower] == 200
    assert 5 <= found[lower] <= 60  # an eighth, by chance


def test_a_queue_of_one_lane_gives_all_its_room(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 100, priority=LOW)
    relay.tick()
    assert claimed_lanes(conn, 80) == {LOW: 80}


def test_a_retry_stays_in_its_lane(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 1, priority=HIGH)
    relay.tick()
    settle(conn, *(ended(job, "retry", 0) for job in claim(conn)))
    relay.tick()
    assert scalar(conn, "SELECT lane FROM pgqueue.jobs WHERE position IS NOT NULL") == HIGH
