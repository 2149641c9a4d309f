"""What the relay touches for limited and fair jobs must not grow with what is held, ready or owed."""

from __future__ import annotations

import json
from typing import cast

import pytest

from tests.plans.test_hot_queries import buffers
from tests.sql.client import NO_TERM, Connection, Relay, claim, ended, enqueue_row, settle, statement

pytestmark = pytest.mark.own_database

RELAY = statement("relay").replace("%(term)s", "%(term)s::interval")


def round_of_the_relay(conn: Connection, relay: Relay) -> int:
    """One measured round; its state is lost, so the next one takes over."""
    params = {"state": json.dumps(relay.state), "batch": 1000, "term": NO_TERM, "wake": None, "stuck": "[]"}
    pages = buffers(conn, RELAY, params)
    relay.state = None
    relay.tick()
    return pages


def settled_and_admitted(conn: Connection, relay: Relay) -> int:
    """Fifty jobs of one key let go, and the relay admits fifty others."""
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn, 50)))
    return round_of_the_relay(conn, relay)


def test_admitting_held_jobs_does_not_read_those_that_stay(conn: Connection) -> None:
    conn.execute("SET synchronous_commit = off")
    relay = Relay(conn, NO_TERM)
    enqueue_row(conn, 300, lane=1, limits=["50 a"])
    relay.tick()
    for _ in range(2):
        settled_and_admitted(conn, relay)
    before = settled_and_admitted(conn, relay)
    enqueue_row(conn, 20_000, lane=1, limits=["50 b"])
    while relay.tick()["more"]:
        pass
    for _ in range(2):
        enqueue_row(conn, 50, limits=["50 a"])
        relay.tick()
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn, 1000)))
    relay.tick()
    after = settled_and_admitted(conn, relay)
    assert after < before * 2 + 500, (before, after)


def test_placing_a_batch_does_not_read_the_debts_of_others(conn: Connection) -> None:
    conn.execute("SET synchronous_commit = off")
    conn.execute("SELECT pgqueue.add_queue('default')")
    conn.execute("UPDATE pgqueue.queues SET \"order\" = 'fair'")
    relay = Relay(conn, NO_TERM)

    def batch() -> int:
        enqueue_row(conn, 100, organization_id="acme")
        return round_of_the_relay(conn, relay)

    relay.tick()
    for _ in range(3):
        batch()
    before = batch()
    conn.execute(
        """INSERT INTO pgqueue.shares (queue, lane, organization_id, finish)
           SELECT 'default', 0, 'tenant-' || n, n FROM generate_series(1, 50000) AS n"""
    )
    after = batch()
    assert after < before * 1.3 + 100, cast("object", (before, after))
