"""heartbeat: leases are renewed in database time, by their owner only."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from tests.sql.client import (
    WORKER,
    Claimed,
    Connection,
    Relay,
    advance_clock,
    claim,
    claimed,
    expire_leases,
    rescue,
    statement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def heartbeat(conn: Connection, jobs: Sequence[Claimed], worker: UUID = WORKER) -> list[tuple[int, bool]]:
    params = {
        "ids": [job.id for job in jobs],
        "claims": [job.claims for job in jobs],
        "worker": worker,
        "lease": timedelta(seconds=30),
    }
    return [(row[0], row[1]) for row in conn.execute(cast("Any", statement("heartbeat")), params)]


def test_a_heartbeat_renews_every_lease_it_names(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 3)
    advance_clock(conn, timedelta(seconds=20))
    assert sorted(heartbeat(conn, jobs[:2])) == [(jobs[0].id, False), (jobs[1].id, False)]
    advance_clock(conn, timedelta(seconds=40))
    assert rescue(conn, jobs) == {jobs[2].id}


def test_a_heartbeat_renews_nothing_that_another_worker_runs(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    assert heartbeat(conn, jobs, worker=UUID(int=2)) == []


def test_a_heartbeat_for_a_lost_lease_says_so_by_leaving_it_out(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 2)
    expire_leases(conn)
    rescue(conn, jobs[:1])
    relay.tick()
    claim(conn)  # by the very same worker, with a new fence
    assert heartbeat(conn, jobs) == [(jobs[1].id, False)]


def test_a_row_that_is_being_settled_does_not_hold_up_the_other_leases(
    conn: Connection, other: Connection, relay: Relay
) -> None:
    jobs = claimed(conn, relay, 2)
    other.execute("DELETE FROM pgqueue.jobs WHERE id = %s", [jobs[0].id])
    conn.execute("SET lock_timeout = '50ms'")
    assert heartbeat(conn, jobs) == [(jobs[1].id, False)]


def test_a_heartbeat_brings_the_wish_to_cancel(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 1)
    params = {"id": jobs[0].id, "keep": timedelta(hours=1), "reason": "not wanted", "by": ""}
    assert scalar_of(conn, "cancel", params) == "asked"
    assert heartbeat(conn, jobs) == [(jobs[0].id, True)]


def scalar_of(conn: Connection, name: str, params: dict[str, object]) -> object:
    row = conn.execute(cast("Any", statement(name)), params).fetchone()
    return row[0] if row else None


def test_a_heartbeat_is_a_hot_update(conn: Connection, relay: Relay) -> None:
    jobs = claimed(conn, relay, 5)
    row = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relid = 'pgqueue.jobs'::regclass"
    with conn.transaction():
        before = conn.execute(row).fetchone() or (0, 0)
        heartbeat(conn, jobs)
        after = conn.execute(row).fetchone() or (0, 0)
    assert (after[0] - before[0], after[1] - before[1]) == (5, 5)
