"""What people do to unique jobs: requeue, cancel, prune; and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest
from psycopg import errors

from tests.sql.client import (
    NO_TERM,
    WORKER,
    Claimed,
    Connection,
    Relay,
    advance_clock,
    claim,
    ended,
    enqueue,
    scalar,
    settle,
    state_of,
    statement,
)
from tests.sql.keyed import keyed, survivor


def requeue(conn: Connection, *ids: int, spacing: str = "0s", ahead: int = 0) -> list[int]:
    params = {"ids": list(ids), "by": "ada", "spacing": spacing, "placed": ahead, "filter": "{}"}
    return [row[0] for row in conn.execute(cast("Any", statement("requeue")), params)]


def buried(conn: Connection, relay: Relay) -> Claimed:
    keyed(conn)
    relay.tick()
    (job,) = claim(conn)
    settle(conn, ended(job, "bury"))
    return job


def test_a_requeued_job_holds_its_hash_again(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    assert requeue(conn, dead.id) == [dead.id]
    later = keyed(conn)
    relay.tick()
    assert (state_of(conn, dead.id), survivor(conn, later)) == ("ready", dead.id)


def test_requeue_leaves_what_is_live_again_and_takes_the_others(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    live = keyed(conn)
    relay.tick()
    free = enqueue(conn)
    relay.tick()
    settle(conn, *(ended(job, "bury") for job in claim(conn) if job.id == free))
    assert requeue(conn, dead.id, free) == [free]
    found = conn.execute(cast("Any", statement("dead_rivals")), {"ids": [dead.id, free]}).fetchall()
    assert found == [(dead.id, live)]
    assert state_of(conn, dead.id) == "dead"


def test_of_two_dead_jobs_with_one_hash_one_is_requeued(conn: Connection, relay: Relay) -> None:
    first, second = buried(conn, relay), buried(conn, relay)
    assert requeue(conn, second.id, first.id) == [first.id]
    assert requeue(conn, second.id) == []
    relay.tick()
    assert [job.id for job in claim(conn)] == [first.id]


def test_two_transactions_that_requeue_one_hash_neither_wait_nor_fail(
    conn: Connection, other: Connection, database_url: str
) -> None:
    relay = Relay(conn, NO_TERM)
    first, second = buried(conn, relay), buried(conn, relay)
    conn.execute("SET lock_timeout = '1ms'")
    assert requeue(other, first.id) == [first.id]
    assert requeue(conn, second.id) == [second.id]
    relay.tick()
    assert [job.id for job in claim(conn)] == [second.id]
    other.commit()
    relay.tick()
    assert state_of(conn, first.id) == "held"
    settle(
        conn,
        *(
            ended(Claimed(i, "default", "K", 1, c, 0, 0, False, None), "complete")  # noqa: FBT003 - a row, in its column order
            for i, c in conn.execute("SELECT id, claims FROM pgqueue.jobs WHERE claimed_by = %s", [WORKER])
        ),
    )
    relay.tick()
    assert [job.id for job in claim(conn)] == [first.id]


def test_a_requeued_job_with_a_hash_keeps_its_place_in_a_rate(conn: Connection, relay: Relay) -> None:
    dead = buried(conn, relay)
    assert requeue(conn, dead.id, spacing="1h", ahead=1) == [dead.id]
    relay.tick()
    late = "SELECT unique_hash IS NOT NULL AND run_at > pgqueue.clock() + interval '59 minutes' FROM pgqueue.jobs"
    assert scalar(conn, late)


def test_an_open_requeue_does_not_stop_the_relay(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    dead = buried(conn, relay)
    requeue(other, dead.id)
    mine, plain = keyed(conn), enqueue(conn)
    relay.tick()
    assert {state_of(conn, job) for job in (mine, plain)} == {"ready"}


def test_cancelling_a_merged_job_cancels_nobody_elses(conn: Connection, relay: Relay) -> None:
    first, second = keyed(conn), keyed(conn)
    relay.tick()
    params = {"id": second, "keep": timedelta(hours=1), "reason": "not wanted", "by": "ada"}
    assert conn.execute(cast("Any", statement("cancel")), params).fetchall() == [("merged",)]
    assert state_of(conn, first) == "ready"
    assert scalar(conn, "SELECT count(*) FROM pgqueue.actions") == 0, "nothing was done"


@pytest.mark.parametrize("commits", [True, False])
def test_nothing_is_merged_into_a_job_that_an_open_transaction_has_cancelled(
    conn: Connection,
    other: Connection,
    commits: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    relay = Relay(conn, NO_TERM)
    first = keyed(conn)
    relay.tick()
    params = {"id": first, "keep": timedelta(hours=1), "reason": "not wanted", "by": ""}
    other.execute(cast("Any", statement("cancel")), params)
    second = keyed(conn)
    relay.tick()
    assert state_of(conn, second) == "enqueued"
    if commits:
        other.commit()
    else:
        other.rollback()
    relay.tick()
    assert state_of(conn, second) == ("ready" if commits else "merged")


def test_nothing_is_merged_into_a_job_that_is_just_completing(conn: Connection, other: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    keyed(conn)
    relay.tick()
    settle(other, *(ended(job, "complete") for job in claim(conn)))
    second = keyed(conn)
    relay.tick()
    assert state_of(conn, second) == "enqueued"
    other.commit()
    relay.tick()
    assert state_of(conn, second) == "ready"


def test_a_job_found_below_the_mark_is_merged_like_any_other(conn: Connection) -> None:
    relay = Relay(conn, NO_TERM)
    first = keyed(conn)
    relay.tick()
    lost = keyed(conn)
    assert scalar(conn, "SELECT pgqueue.sweep_move(0::smallint, %s)", [lost]) == 1
    assert survivor(conn, lost) == first


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"unique_while": "always"}, "outbox_unique_while_known"),
        ({"on_conflict": "explode"}, "outbox_on_conflict_known"),
        ({"unique_while": "period"}, "outbox_unique_period_has_length"),
        ({"unique_period": "1 hour", "on_conflict": "replace"}, "outbox_unique_period_keeps_the_first"),
        ({"unique_period": "0 s"}, "outbox_unique_period_sane"),
        ({"unique_max_wait": "0 s"}, "outbox_unique_max_wait_sane"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_by_its_name(
    conn: Connection, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(errors.CheckViolation, match=named):
        keyed(conn, **options)


def test_a_policy_without_a_key_is_refused(conn: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="outbox_unique_needs_hash"):
        conn.execute("SELECT pgqueue.enqueue('K', '{}', 'org', 'user', unique_period => '1 hour')")


def test_merged_ids_and_periods_are_pruned_when_their_time_is_over(conn: Connection, relay: Relay) -> None:
    for _ in range(3):
        keyed(conn, unique_period="1 hour")
    relay.tick()
    for block in ("prune_merged", "prune_periods"):
        assert conn.execute(cast("Any", statement(block)), {"age": timedelta(days=7)}).fetchall() == []
    advance_clock(conn, timedelta(days=8))
    assert len(conn.execute(cast("Any", statement("prune_merged")), {"age": timedelta(days=7)}).fetchall()) == 2
    assert len(conn.execute(cast("Any", statement("prune_periods"))).fetchall()) == 1


def test_the_older_list_of_parameters_of_enqueue_is_still_valid(conn: Connection) -> None:
    row = conn.execute(
        """SELECT pgqueue.enqueue('K', '{}', 'org', 'user', 'default', NULL, '1 hour',
                                  gen_random_uuid(), 1, 3, '1 day')"""
    ).fetchone()
    assert row is not None
    assert conn.execute("SELECT unique_hash, unique_while, on_conflict FROM pgqueue.outbox").fetchall() == [(None,) * 3]


def test_a_relay_that_is_rolled_back_has_merged_nothing(conn: Connection, database_url: str) -> None:
    first, second = keyed(conn), keyed(conn)
    with psycopg.connect(database_url) as dying:
        assert Relay(dying, NO_TERM).call()["relayed"] == 2
        dying.rollback()
    assert [state_of(conn, job) for job in (first, second)] == ["enqueued", "enqueued"]
    Relay(conn, NO_TERM).tick()
    assert [state_of(conn, job) for job in (first, second)] == ["ready", "merged"]
