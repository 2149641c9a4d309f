"""Fair queues: start-time fair queuing, compared with a slow oracle, and what follows for tenants."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.sql.client import (
    NO_TERM,
    Claimed,
    Connection,
    Relay,
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

UNIT = 2**20


@pytest.fixture
def fair(conn: Connection) -> Connection:
    conn.execute("SELECT pgqueue.add_queue('default')")
    conn.execute("UPDATE pgqueue.queues SET \"order\" = 'fair'")
    return conn


def positions(conn: Connection) -> dict[int, int]:
    return dict(conn.execute("SELECT id, position FROM pgqueue.jobs WHERE claimed_by IS NULL").fetchall())


def organizations(conn: Connection, jobs: Sequence[Claimed]) -> list[str]:
    """Whose jobs these are, in the order of the claim."""
    found: dict[int, str] = dict(
        conn.execute("SELECT id, organization_id FROM pgqueue.jobs WHERE id = ANY (%s)", [[j.id for j in jobs]])
    )
    return [found[job.id] for job in jobs]


@dataclass
class Oracle:
    """Start-time fair queuing as the books have it: one job at a time, nothing clever."""

    weights: dict[str, int] = field(default_factory=dict)
    v: int = 1
    head: int = 0
    level: int = 0
    finish: dict[str, int] = field(default_factory=dict)
    unclaimed: dict[int, int] = field(default_factory=dict)

    def relay(self, jobs: Sequence[tuple[int, str, int]]) -> None:
        self.v = max(self.v, min(self.unclaimed.values(), default=self.head + 1))
        for job, organization, cost in jobs:
            start = self.finish.get(organization, 0)
            if start <= self.v:
                start = self.level = max(self.level + 1, self.v)
            self.finish[organization] = start + cost * UNIT // self.weights.get(organization, 1)
            self.unclaimed[job] = start
            self.head = max(self.head, start)


@pytest.mark.parametrize("seed", range(8))
def test_positions_are_those_of_a_slow_oracle(fair: Connection, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    oracle = Oracle({"c": 3, "d": 40})
    with fair.cursor() as cursor:
        cursor.executemany("INSERT INTO pgqueue.weights VALUES (%s, %s)", list(oracle.weights.items()))
    relay = Relay(fair, NO_TERM)
    for _ in range(40):
        jobs: list[tuple[int, str, int]] = []
        for _ in range(chance.choice([0, 1, 2, 15])):
            organization, cost = chance.choice("aaaaaaabcdefgh"), chance.choice([1, 1, 1, 7])
            (job,) = enqueue_row(fair, organization_id=organization, cost=cost)
            jobs.append((job, organization, cost))
        if chance.random() < 0.2:
            relay.state = None  # another process takes over
        relay.tick()
        oracle.relay(jobs)
        assert positions(fair) == oracle.unclaimed
        claimed = claim(fair, chance.choice([0, 1, 3, 12]))
        for taken in claimed:
            assert oracle.unclaimed.pop(taken.id) <= min(oracle.unclaimed.values(), default=2**62)
        settle(fair, *(ended(job, "complete") for job in claimed))


def test_one_job_behind_a_bulk_of_another_tenant_runs_next(fair: Connection, relay: Relay) -> None:
    enqueue_row(fair, 500, organization_id="heavy", lane=1)
    relay.tick()
    settle(fair, *(ended(job, "complete") for job in claim(fair, 10)))
    relay.tick()
    (light,) = enqueue_row(fair, organization_id="light")
    relay.tick()
    assert light in {job.id for job in claim(fair, 2)}


def test_a_tenant_that_enqueues_one_job_after_the_other_does_not_starve_the_heavy_one(
    fair: Connection, relay: Relay
) -> None:
    enqueue_row(fair, 100, organization_id="heavy")
    enqueue_row(fair, 1, organization_id="light")
    done: list[str] = []
    for _ in range(60):
        relay.tick()
        jobs = claim(fair, 1)
        done += organizations(fair, jobs)
        settle(fair, *(ended(job, "complete") for job in jobs))
        if done[-1] == "light":
            enqueue_row(fair, 1, organization_id="light")
    assert 28 <= done.count("heavy") <= 32


def test_weights_are_shares(fair: Connection, relay: Relay) -> None:
    fair.execute("INSERT INTO pgqueue.weights VALUES ('gold', 3)")
    enqueue_row(fair, 200, organization_id="plain")
    enqueue_row(fair, 200, organization_id="gold")
    relay.tick()
    done = organizations(fair, claim(fair, 100))
    assert 74 <= done.count("gold") <= 76


def test_a_job_of_cost_ten_weighs_ten(fair: Connection, relay: Relay) -> None:
    enqueue_row(fair, 100, organization_id="large", cost=10)
    enqueue_row(fair, 100, organization_id="small")
    relay.tick()
    done = organizations(fair, claim(fair, 55))
    assert 49 <= done.count("small") <= 51


def test_a_retry_in_a_fair_queue_goes_behind_what_its_tenant_had(fair: Connection, relay: Relay) -> None:
    jobs = enqueue_row(fair, 3, organization_id="a")
    relay.tick()
    settle(fair, *(ended(job, "retry", 0) for job in claim(fair, 1)))
    relay.tick()
    assert [job.id for job in claim(fair)] == [*jobs[1:], jobs[0]]


def test_what_is_given_back_in_a_fair_queue_goes_to_the_front(fair: Connection, relay: Relay) -> None:
    jobs = enqueue_row(fair, 3, organization_id="a")
    relay.tick()
    settle(fair, *(ended(job, "give_back", 0) for job in claim(fair, 2)))
    relay.tick()
    assert [job.id for job in claim(fair)][-1] == jobs[2]


def test_a_queue_becomes_fair_at_run_time(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 50, organization_id="heavy")
    relay.tick()
    conn.execute("UPDATE pgqueue.queues SET \"order\" = 'fair'")
    (light,) = enqueue_row(conn, organization_id="light")
    relay.tick()
    assert light in {job.id for job in claim(conn, 2)}
    conn.execute("UPDATE pgqueue.queues SET \"order\" = 'fifo'")
    (last,) = enqueue_row(conn, organization_id="another")
    relay.tick()
    assert [job.id for job in claim(conn)][-1] == last


def test_a_limited_job_in_a_fair_queue_is_placed_when_it_is_admitted(fair: Connection, relay: Relay) -> None:
    enqueue_row(fair, 5, organization_id="a", limits=["1 a"])
    enqueue_row(fair, 5, organization_id="b")
    relay.tick()
    assert sorted(organizations(fair, claim(fair))) == ["a", *"bbbbb"]
    assert scalar(fair, "SELECT count(*) FROM pgqueue.jobs WHERE hold = 'limit:a'") == 4


def test_debts_are_kept_once_for_each_tenant_and_forgotten_when_they_are_paid(fair: Connection, relay: Relay) -> None:
    for n in range(3):
        for organization in "abc":
            enqueue_row(fair, n, organization_id=organization)
        relay.tick()
    assert scalar(fair, "SELECT count(*) FROM pgqueue.shares WHERE organization_id <> ''") == 3
    fair.execute("SELECT setval(mark, 100 * 1048576) FROM pgqueue.marks")
    assert len(column(fair, statement("prune_shares"))) == 3
