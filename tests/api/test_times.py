"""When a job is due: an aware moment or a delay, by the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from pgqueue import Queue
from pgqueue.errors import InvalidJob
from tests.api.jobs import CONTEXT, SETTINGS, Letter, enqueued

if TYPE_CHECKING:
    import psycopg

    from tests.api.jobs import Row

queue = Queue(SETTINGS, wake="off")
NOON = datetime(2031, 7, 1, 12, tzinfo=ZoneInfo("Europe/Warsaw"))


def test_an_aware_moment_is_kept(conn: psycopg.Connection[Row]) -> None:
    queue.enqueue(conn, Letter(to="a"), context=CONTEXT, run_at=NOON)
    queue.enqueue_many(conn, [Letter(to="b")], context=CONTEXT, run_at=NOON)
    assert conn.execute("SELECT run_at, delay FROM pgqueue.outbox").fetchall() == [(NOON, None)] * 2


@pytest.mark.parametrize("delay", ["90s", timedelta(seconds=90)])
def test_a_delay_is_counted_by_the_database(conn: psycopg.Connection[Row], delay: str | timedelta) -> None:
    queue.enqueue(conn, Letter(to="a"), context=CONTEXT, delay=delay)
    queue.enqueue_many(conn, [Letter(to="b")], context=CONTEXT, delay=delay)
    rows = conn.execute("SELECT run_at, delay FROM pgqueue.outbox").fetchall()
    assert rows == [(None, timedelta(seconds=90))] * 2


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"run_at": datetime(2031, 7, 1, 12)}, "without zone.*ZoneInfo"),  # noqa: DTZ001 - the fault under test
        ({"run_at": datetime.max.replace(tzinfo=UTC)}, "2000 and 9998"),
        ({"run_at": datetime.min.replace(tzinfo=UTC)}, "2000 and 9998"),
        ({"run_at": datetime(1999, 12, 31, tzinfo=UTC)}, "2000 and 9998"),
        ({"run_at": "2031-07-01T12:00:00Z"}, "run_at is"),
        ({"run_at": float("inf")}, "run_at is"),
        ({"run_at": 1_900_000_000}, "run_at is"),
        ({"run_at": NOON, "delay": "1s"}, "one of them"),
        ({"delay": 5}, "90s"),
        ({"delay": "soon"}, "90s"),
        ({"delay": timedelta(seconds=-1)}, "0 and 3650 days"),
        ({"delay": timedelta.max}, "0 and 3650 days"),
        ({"delay": float("inf")}, "90s"),
    ],
)
def test_times_that_nobody_can_mean_are_refused(
    conn: psycopg.Connection[Row], times: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidJob, match=words):
        queue.enqueue(conn, Letter(to="a"), context=CONTEXT, **times)
    with pytest.raises(InvalidJob, match=words):
        queue.enqueue_many(conn, [Letter(to="a")], context=CONTEXT, **times)
    assert enqueued(conn) == []


def test_sql_refuses_infinite_times_as_well(conn: psycopg.Connection[Row]) -> None:
    import psycopg as driver

    for when in ("run_at => 'infinity'", "run_at => '-infinity'"):
        with pytest.raises(driver.errors.CheckViolation):
            conn.execute(f"SELECT pgqueue.enqueue('Letter', '{{}}', 'acme', 'ann', {when})")
