"""The proof that the checker can fail: three designs that lose jobs, installed into a database of their own.

Each wrong variant meets the one interleaving that it cannot stand; the real one meets the same and holds.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest

from pgqueue.sql import load
from tests.invariants.checker import (
    Journal,
    at_the_end,
    below_the_marks,
    over_the_limit,
    permits_left,
    stale_settlement,
)
from tests.sql.client import (
    NO_TERM,
    Claimed,
    Connection,
    Relay,
    Settlement,
    claim,
    ended,
    enqueue,
    enqueue_row,
    expire_leases,
    rescue,
    scalar,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.own_database

GATE = 4711


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def third(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def rewrite(conn: Connection, function: str, *changes: tuple[str, str]) -> None:
    """Install a variant of a stored function."""
    text: str = load().functions[function]
    for old, new in changes:
        assert old in text, f"{function} no longer says {old!r}: this control proves nothing"
        text = text.replace(old, new)
    conn.execute(cast("Any", text))


def wait_until_blocked(conn: Connection, pid: int) -> None:
    """Until that session waits for a lock."""
    while not scalar(conn, "SELECT cardinality(pg_blocking_pids(%s)) > 0", pid):
        pass


def lock_inside_the_statement(conn: Connection) -> None:
    """Let lock and work share one snapshot: a STABLE function sees what its caller's statement sees."""
    rewrite(conn, "relay", ("LANGUAGE plpgsql VOLATILE", "LANGUAGE plpgsql STABLE"))
    rewrite(conn, "refresh_marks", ("LANGUAGE sql VOLATILE", "LANGUAGE sql STABLE"))


def relay_while_another_commits(conn: Connection, first: Connection, second: Connection) -> list[str]:
    """The second relay's statement begins before the first one's commit, and gets the turn after it.

    The gate in front of the turn is what makes that certain; without it, it is a matter of luck.
    """
    rewrite(conn, "take_turn", ("\nBEGIN\n", f"\nBEGIN\n  PERFORM pg_advisory_xact_lock({GATE});\n"))
    enqueue(conn)
    Relay(conn, NO_TERM).tick()
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    for _ in range(5):
        enqueue(conn)
    with first.transaction():
        assert Relay(first, NO_TERM).call()["relayed"] == 5
        late = threading.Thread(target=Relay(second, NO_TERM).call)
        late.start()
        wait_until_blocked(conn, second.info.backend_pid)
    late.join()
    return below_the_marks(conn)


def test_the_relay_looks_with_a_snapshot_from_after_its_lock(
    conn: Connection, other: Connection, third: Connection
) -> None:
    assert relay_while_another_commits(conn, other, third) == []
    assert len(claim(conn)) == 5


def test_a_lock_inside_the_statement_passes_the_jobs_of_the_relay_before(
    conn: Connection, other: Connection, third: Connection
) -> None:
    lock_inside_the_statement(conn)
    violations = relay_while_another_commits(conn, other, third)
    assert len(violations) == 5
    assert all("below V" in violation for violation in violations)
    assert claim(conn) == []


def snapshot_xmax_rule(conn: Connection) -> None:
    """Let the outbox's mark trust the end of a snapshot, which lies below transactions that run."""
    rewrite(conn, "relay", ("own_xid := pg_current_xact_id();", "own_xid := pg_snapshot_xmax(pg_current_snapshot());"))


def relay_beside_a_slow_committer(conn: Connection, slow: Connection) -> tuple[int, list[str]]:
    """A transaction holds a low id open while the relay goes round and round."""
    relay = Relay(conn, NO_TERM)
    with slow.transaction():
        job = enqueue(slow)
        for _ in range(4):
            relay.tick()  # before anybody else commits: only then is the snapshot's end as low as that
            enqueue(conn)
    return job, below_the_marks(conn)


def test_the_outbox_mark_waits_for_a_slow_committer(conn: Connection, other: Connection) -> None:
    job, violations = relay_beside_a_slow_committer(conn, other)
    assert violations == []
    Relay(conn, NO_TERM).tick()
    assert job in {claimed.id for claimed in claim(conn)}


def test_the_snapshot_xmax_rule_passes_a_slow_committer(conn: Connection, other: Connection) -> None:
    snapshot_xmax_rule(conn)
    job, violations = relay_beside_a_slow_committer(conn, other)
    assert [v for v in violations if f"job {job} stands in lane 0 of the outbox, below its mark" in v]
    Relay(conn, NO_TERM).tick()  # a relay that comes anew never sees it
    assert job not in {claimed.id for claimed in claim(conn)}


def fence_by_attempt(conn: Connection) -> None:
    """Let settling compare the attempt, which a rescue takes back."""
    for function in ("end_jobs", "postpone_jobs", "bury_jobs"):
        rewrite(conn, function, ("j.claims = t.fence", "j.attempt = t.fence"))


def settle_what_was_rescued(conn: Connection, *, fence: str) -> tuple[Journal, list[str]]:
    """One worker loses its lease, a second one claims the job, the first one comes back."""
    journal = Journal(seed=0)
    journal.enqueued([enqueue(conn)], committed=True)
    relay = Relay(conn, NO_TERM)
    relay.tick()
    (first,) = claim(conn)
    expire_leases(conn)
    rescue(conn, [first])
    relay.tick()
    (second,) = claim(conn)
    late = settle(conn, Settlement(first.id, getattr(first, fence), "retry", 0.0))
    violations = stale_settlement(late, first.id, first.claims, second.claims)
    relay.tick()
    for job in claim(conn):  # a third run, beside the second one, which knows nothing of all this
        journal.claimed([(job.id, job.claims)])
        settle(conn, _ending(job, fence))
    settle(conn, _ending(second, fence))
    return journal, violations


def _ending(job: Claimed, fence: str) -> Settlement:
    return Settlement(job.id, getattr(job, fence), "complete")


def test_a_worker_that_lost_its_lease_cannot_settle(conn: Connection) -> None:
    journal, violations = settle_what_was_rescued(conn, fence="claims")
    assert violations == []
    assert at_the_end(conn, journal) == []
    assert journal.counts["claims"] == 0


def test_a_fence_by_attempt_lets_a_worker_settle_what_another_one_runs(conn: Connection) -> None:
    fence_by_attempt(conn)
    _, violations = settle_what_was_rescued(conn, fence="attempt")
    assert violations == ["job 1 was settled with fence 1 although 2 had been given"]


def test_a_relay_that_counts_nothing_is_found_out(conn: Connection) -> None:
    rewrite(conn, "room", ("WHERE p.key = m.key AND", "WHERE false AND"))
    relay = Relay(conn, NO_TERM)
    for _ in range(2):
        enqueue_row(conn, 2, limits=["2 a"])
        relay.tick()
    assert over_the_limit(conn) == ["4 jobs have a permit for 2 a"]


def test_a_settlement_that_does_not_let_go_is_found_out(conn: Connection) -> None:
    rewrite(conn, "end_jobs", ("WHERE g.permit IS NOT NULL", "WHERE false"))
    relay = Relay(conn, NO_TERM)
    enqueue_row(conn, 1, limits=["2 a"])
    relay.tick()
    settle(conn, *(ended(job, "complete") for job in claim(conn)))
    relay.tick()
    assert permits_left(conn) == ["a permit is left: ('a', 64, 1)"]
