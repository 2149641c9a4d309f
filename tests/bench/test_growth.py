"""What the growth runs fill a queue with, and what they make of their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from benchmarks.growth import filling
from benchmarks.growth.figures import goals
from pgqueue.bench.measures import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg


def test_a_queue_is_filled_as_the_run_says(conn: psycopg.Connection[Any], database_url: str) -> None:
    place = Place(conn, database_url, "pgqueue")
    fillings: list[tuple[Callable[[], None], LiteralString, int]] = [
        (lambda: filling.ready(place, 20), "jobs WHERE position IS NOT NULL AND queue = 'default'", 20),
        (lambda: filling.later(place, 30), "jobs WHERE run_at > clock_timestamp() + interval '20 hours'", 30),
        (lambda: filling.queues(place, 3), "queues WHERE name LIKE 'other%'", 3),
        (lambda: filling.finished(place, 10), "finished_jobs", 10),
    ]
    for fill, what, count in fillings:
        fill()
        assert conn.execute(sql.SQL("SELECT count(*) FROM pgqueue.") + sql.SQL(what)).fetchone() == (count,)
    filling.tenants(place, 5, 10)
    query = "SELECT count(*), count(DISTINCT organization_id) FROM pgqueue.jobs WHERE queue = 'fair'"
    assert conn.execute(query).fetchone() == (10, 5)


def test_the_goals_of_growth_say_yes_and_no() -> None:
    looks = [{"jobs_per_second": 100.0, "worker_bytes": 50}] * 20
    held = [{"jobs_per_second": 100.0 - n, "worker_bytes": 50} for n in range(20)]
    found = {
        "backlog": [[0, 100.0], [1_000, 95.0], [10_000, 120.0]],
        "later": [[0, 100.0], [1_000, 85.0]],
        "processes": [[1, 100.0], [2, 150.0]],
        "free": looks,
        "snapshot": held,
        "enqueuers": [[1, 10.0], [64, 96.0]],
        "enqueuers_off": [[1, 10.0], [64, 100.0]],
        "steady": looks,
    }
    assert [(goal.code, goal.reached, goal.met) for goal in goals(found)] == [
        ("P8", "0.95 x", True),
        ("P8", "0.85 x", False),
        ("P3", "1.50 x", True),
        ("P9", "0.82 x", False),
        ("P10", "0.96 x", True),
        ("P14", "1.00 x", True),
    ]
