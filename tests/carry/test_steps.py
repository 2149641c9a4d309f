"""offer, carry, taken: a job of another database exists here once, wherever its carrier stops."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest

from pgqueue.db import connect, run
from pgqueue.queries.carry import Carry
from pgqueue.sql import load
from tests.carry.client import Steps
from tests.carry.conftest import SOURCE
from tests.sql.client import Relay, claim, column, enqueue, enqueue_bulk, scalar

if TYPE_CHECKING:
    from tests.sql.client import Connection

GATE = 4711


@pytest.fixture
def steps(source: Connection, conn: Connection) -> Steps:
    steps = Steps(source, conn)
    assert steps.take_over()
    return steps


def jobs(conn: Connection) -> list[int]:
    return column(conn, "SELECT id FROM pgqueue.jobs ORDER BY id")


def test_what_was_committed_there_is_a_job_here(source: Connection, conn: Connection, steps: Steps) -> None:
    single = [enqueue(source), enqueue(source, "high")]
    bulk = enqueue_bulk(source, 3)
    with source.transaction(force_rollback=True):
        enqueue(source)
    assert steps.round() == 5
    assert jobs(conn) == sorted(single + bulk)
    assert column(source, "SELECT id FROM pgqueue.outbox") == []
    assert {job.id for job in claim(conn)} == {single[0], *bulk}


def test_everything_that_a_row_says_arrives(source: Connection, conn: Connection, steps: Steps) -> None:
    job = enqueue(source, kind="K", delay=timedelta(days=2, seconds=1), max_attempts=7, payload_version=3)
    said = "SELECT kind, max_attempts, payload_version, args::text, organization_id, user_id, trace_id"
    source.execute("UPDATE pgqueue.outbox SET args = %s", ['{"n": 12345678901234567890.10, "u": "ü\\u2028"}'])
    there = source.execute(f"{said}, delay FROM pgqueue.outbox").fetchone()
    steps.round()
    here = conn.execute(f"{said}, run_at - enqueued_at FROM pgqueue.jobs WHERE id = %s", [job]).fetchone()
    assert here == there


def test_a_carrier_that_dies_after_the_carry_leaves_one_job(source: Connection, conn: Connection, steps: Steps) -> None:
    job = enqueue(source)
    steps.carry(steps.offer().rows)  # and then it dies
    heir = Steps(source, conn)
    assert heir.take_over()
    assert heir.round() == 0
    assert jobs(conn) == [job]
    assert column(source, "SELECT id FROM pgqueue.outbox") == []
    heir.round()
    assert column(conn, "SELECT id FROM pgqueue.carried") == []


def test_a_carrier_that_dies_after_the_delete_leaves_a_ledger_that_is_cleared(
    source: Connection, conn: Connection, steps: Steps
) -> None:
    enqueue(source)
    steps.round()  # and then it dies, before the ledger could forget
    assert len(column(conn, "SELECT id FROM pgqueue.carried")) == 1
    heir = Steps(source, conn)
    assert heir.take_over()
    assert heir.round() == 0
    assert column(conn, "SELECT id FROM pgqueue.carried") == []


def test_a_carrier_that_was_frozen_cannot_carry_a_second_time(
    source: Connection, conn: Connection, steps: Steps
) -> None:
    enqueue(source)
    frozen = steps.offer()
    heir = Steps(source, conn)
    assert heir.take_over()
    heir.round()
    heir.round()
    assert [job.id for job in claim(conn)] == frozen.ids
    conn.execute("DELETE FROM pgqueue.jobs")  # it has ended by now, and the ledger is clear
    assert steps.carry(frozen.rows)["turn"] is None
    assert jobs(conn) == []


def test_a_rolled_back_carry_loses_nothing(source: Connection, conn: Connection, steps: Steps) -> None:
    job = enqueue(source)
    with conn.transaction(force_rollback=True):
        assert steps.carry(steps.offer().rows)["carried"] == 1
    assert steps.take_over()
    assert steps.round() == 1
    assert jobs(conn) == [job]


def test_a_slow_transaction_is_carried_when_it_commits(source_url: str, source: Connection, steps: Steps) -> None:
    with psycopg.connect(source_url) as slow:
        late = enqueue(slow)
        for _ in range(3):
            enqueue(source)
            assert steps.round() == 1
        slow.commit()
        enqueue(source)
        assert steps.round() == 2
    assert late in jobs(steps.queue)


def test_an_idle_source_writes_nothing(source: Connection, steps: Steps) -> None:
    enqueue(source)
    for _ in range(4):
        steps.round()
    before = scalar(source, "SELECT pg_current_wal_insert_lsn()")
    assert steps.offer().ids == []
    assert scalar(source, "SELECT pg_current_wal_insert_lsn()") == before


def test_the_relay_of_the_queue_and_the_carrier_take_turns(
    source: Connection, conn: Connection, database_url: str, steps: Steps
) -> None:
    theirs = enqueue(source)
    ours = enqueue(conn)
    relay = Relay(conn, "3s")
    relay.tick()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pgqueue.hold_turn('relay')")
        assert steps.round() == -1
    assert steps.round() == 1
    later = enqueue(conn)
    assert relay.tick()["relayed"] == 1
    assert jobs(conn) == sorted([theirs, ours, later])


def test_a_message_is_bounded_in_bytes_and_the_rest_follows(source: Connection, steps: Steps) -> None:
    big = '{"n": "' + "x" * 3_000_000 + '"}'
    for _ in range(5):
        enqueue(source)
    source.execute("ALTER TABLE pgqueue.outbox ALTER COLUMN args SET STORAGE EXTERNAL")
    source.execute("UPDATE pgqueue.outbox SET args = %s", [big])
    carried = [steps.round() for _ in range(3)]
    assert sum(carried) == 5
    assert max(carried) < 5


def test_what_was_cut_off_a_message_is_not_passed_by_a_mark(source: Connection, steps: Steps) -> None:
    source.execute("ALTER TABLE pgqueue.outbox ALTER COLUMN args SET STORAGE EXTERNAL")
    for _ in range(4):
        enqueue(source)
    source.execute("UPDATE pgqueue.outbox SET args = %s", ['{"n": "' + "x" * 4_200_000 + '"}'])
    bulk = enqueue_bulk(source, 2)  # their lane comes last: there is no room for it in the first messages
    assert [steps.round(), steps.round()] == [2, 2]
    assert steps.take_over()  # another process, which knows only the marks
    assert steps.round() == 2
    assert jobs(steps.queue)[-2:] == bulk


def test_a_commit_between_reading_and_settling_is_not_passed(source_url: str, source: Connection, steps: Steps) -> None:
    gate = psycopg.connect(source_url)
    with psycopg.connect(source_url) as slow:
        late = enqueue(slow)
        steps.round()  # from now on, the end of that transaction is what the mark waits for
        wait_after_reading(source)
        gate.execute("SELECT pg_advisory_xact_lock(%s)", [GATE])
        reading = threading.Thread(target=steps.round)
        reading.start()
        while not scalar(gate, "SELECT cardinality(pg_blocking_pids(%s)) > 0", source.info.backend_pid):
            pass
        slow.commit()
    gate.close()
    reading.join()
    steps.round()
    assert jobs(steps.queue) == [late]


def wait_after_reading(source: Connection) -> None:
    """Let whoever has read the outbox wait at a gate."""
    text: str = load().functions["outbox_within"]
    assert text.count("\n$$") == 1
    lock = f"(SELECT pg_advisory_xact_lock({GATE})::text AS t OFFSET 0) AS g"
    waits = f"SELECT 0::smallint, 0::bigint, NULL::jsonb, false FROM {lock} WHERE t <> ''"
    source.execute(cast("Any", text.replace("\n$$", f"\nUNION ALL {waits}\n$$")))


def test_an_id_of_another_range_is_refused_with_what_to_do(source: Connection, steps: Steps) -> None:
    source.execute("SELECT setval('pgqueue.job_ids', 5)")
    enqueue(source)
    with pytest.raises(psycopg.errors.RaiseException, match="not of its range") as refused:
        steps.round()
    assert "sources list" in str(refused.value.diag.message_hint)


def test_an_unknown_source_is_refused_with_what_to_do(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match='unknown source "nobody"') as refused:
        run(conn, Carry().carry("nobody", token=None, term=timedelta(seconds=1)))
    assert "sources add" in str(refused.value.diag.message_hint)


def test_a_database_with_live_jobs_cannot_become_a_source(conn: Connection) -> None:
    enqueue(conn)
    Relay(conn).tick()
    with pytest.raises(psycopg.errors.RaiseException, match="jobs of its own"):
        run(conn, Carry().become_source("late", 7))


def test_adding_a_source_twice_changes_nothing(source_url: str, source: Connection, conn: Connection) -> None:
    job = enqueue(source)
    number = run(conn, Carry().add_source(SOURCE, by="ann"))
    with connect(source_url, name="test") as again:
        run(again, Carry().become_source(SOURCE, number))
    assert enqueue(source) == job + 1
    assert job >> 44 == number
    assert job < 2**53
