"""Equal jobs under random interleavings of enqueuers, relays, claimers, rescues, requeues and locks.

PGQUEUE_INVARIANTS_ROUNDS and PGQUEUE_INVARIANTS_SEED: see test_invariants.py.
"""

from __future__ import annotations

import os
import secrets
import sys

import psycopg
import pytest

from tests.invariants.actors import Actor, Stage
from tests.invariants.bystanders import Locker, MarkRefresher, Requeuer, Rescuer, Sweeper
from tests.invariants.test_invariants import ROUNDS, drain
from tests.invariants.uniques import (
    TwinObserver,
    UniqueClaimer,
    UniqueEnqueuer,
    UniqueJournal,
    UniqueRelayer,
    at_the_end,
)

pytestmark = pytest.mark.own_database


@pytest.mark.timeout(600)
def test_no_two_live_jobs_are_equal_and_every_enqueue_leads_to_one(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = UniqueJournal(int(os.environ.get("PGQUEUE_INVARIANTS_SEED") or secrets.randbelow(10**6)))
    stage = Stage(database_url, journal)
    enqueuers: list[Actor] = [UniqueEnqueuer(stage, f"enqueuer {n}", ROUNDS) for n in range(3)]
    others: list[Actor] = [UniqueRelayer(stage, f"relay {n}") for n in range(2)]
    others += [UniqueClaimer(stage, f"claimer {n}") for n in range(3)]
    others += [Rescuer(stage, "rescuer"), Requeuer(stage, "requeuer"), MarkRefresher(stage, "refresher")]
    others += [Locker(stage, "locker"), Sweeper(stage, "sweeper"), TwinObserver(stage, "observer")]
    for actor in (*enqueuers, *others):
        actor.start()
    for actor in enqueuers:
        actor.join(timeout=300)
    stage.done.set()
    for actor in others:
        actor.join(timeout=300)
        assert not actor.is_alive(), f"{actor.name} hangs"
    with psycopg.connect(database_url, autocommit=True) as conn:
        drain(conn, journal)
        violations = journal.violations + at_the_end(conn, journal)
    story = ", ".join(f"{n} {what}" for what, n in sorted(journal.counts.items()))
    with capsys.disabled():
        sys.stdout.write(f"\n  seed {journal.seed}: {story}\n")
    assert not violations, "\n".join(violations[:20])
    assert journal.counts["merged"] > 0
