"""Real sessions, chance, and a journal: every committed job ends exactly once, and nothing is ever passed by.

PGQUEUE_INVARIANTS_ROUNDS   transactions of each enqueuer (more = longer)
PGQUEUE_INVARIANTS_SEED     repeat a run's choices (the order of the sessions remains the machine's)
"""

from __future__ import annotations

import os
import secrets
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.invariants.actors import FAIR, QUEUES, Actor, Claimer, Enqueuer, Relayer, Stage
from tests.invariants.bystanders import Locker, MarkRefresher, Observer, Requeuer, Rescuer, Sweeper
from tests.invariants.checker import Journal, at_the_end, below_the_marks, over_the_limit, permits_left
from tests.sql.client import Claimed, Connection, Relay, claim, ended, expire_leases, rescue, scalar, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.own_database

ROUNDS = int(os.environ.get("PGQUEUE_INVARIANTS_ROUNDS", "120"))
DRAIN_LIMIT = 5000


def company(stage: Stage) -> tuple[list[Actor], list[Actor]]:
    """Those whose work ends by itself, and those who go on until it has."""
    enqueuers: list[Actor] = [Enqueuer(stage, f"enqueuer {n}", ROUNDS) for n in range(3)]
    others: list[Actor] = [Relayer(stage, f"relay {n}") for n in range(3)]
    others += [Claimer(stage, f"claimer {n}") for n in range(4)]
    others += [Rescuer(stage, "rescuer"), Requeuer(stage, "requeuer"), MarkRefresher(stage, "refresher")]
    others += [Locker(stage, "locker"), Sweeper(stage, "sweeper"), Observer(stage, "observer")]
    return enqueuers, others


def play(stage: Stage) -> None:
    enqueuers, others = company(stage)
    for actor in (*enqueuers, *others):
        actor.start()
    _join(enqueuers)
    stage.done.set()
    _join(others)


def _join(actors: Sequence[Actor]) -> None:
    for actor in actors:
        actor.join(timeout=300)
        assert not actor.is_alive(), f"{actor.name} hangs"


def drain(conn: Connection, journal: Journal) -> None:
    """Let every job that is left end well, with nobody in the way."""
    relay = Relay(conn, term="1 millisecond")
    for _ in range(DRAIN_LIMIT):
        if not scalar(
            conn, "SELECT count(*) FROM (SELECT FROM pgqueue.jobs UNION ALL SELECT FROM pgqueue.outbox) AS l"
        ):
            relay.tick()
            journal.complain(*permits_left(conn))
            return
        expire_leases(conn)
        running = conn.execute("SELECT id, queue, claims FROM pgqueue.jobs WHERE claimed_by IS NOT NULL").fetchall()
        rescue(conn, [Claimed(i, q, "K", 0, c, 0, 0, False, None) for i, q, c in running])  # noqa: FBT003 - a row, in its column order
        conn.execute("UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE run_at > pgqueue.clock()")
        relay.tick()
        for queue in QUEUES:
            jobs = claim(conn, 1000, queue)
            journal.claimed([(job.id, job.claims) for job in jobs])
            lost = settle(conn, *(ended(job, "complete") for job in jobs))
            journal.settled({job.id for job in jobs} - lost)
        journal.complain(*below_the_marks(conn), *over_the_limit(conn))


@pytest.mark.timeout(600)
def test_every_committed_job_ends_exactly_once_and_nothing_is_ever_passed_by(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(int(os.environ.get("PGQUEUE_INVARIANTS_SEED") or secrets.randbelow(10**6)))
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT pgqueue.add_queue(%s)", [FAIR])
        conn.execute("UPDATE pgqueue.queues SET \"order\" = 'fair' WHERE name = %s", [FAIR])
    play(Stage(database_url, journal))
    with psycopg.connect(database_url, autocommit=True) as conn:
        drain(conn, journal)
        violations = journal.violations + at_the_end(conn, journal)
    story = ", ".join(f"{n} {what}" for what, n in sorted(journal.counts.items()))
    with capsys.disabled():
        sys.stdout.write(f"\n  seed {journal.seed}: {story}\n")
    assert not violations, "\n".join(violations[:20])
    assert journal.counts["enqueued"] == len(journal.committed) > 0
