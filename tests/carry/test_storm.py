"""Enqueuers, carriers that die anywhere, a relay and a claimer at once: every committed job ends once."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from tests.carry.client import Steps
from tests.sql.client import Relay, Settlement, claim, column, enqueue, enqueue_bulk, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sql.client import Connection

TRANSACTIONS = 150
CARRIERS = 3


class Storm:
    """What the sessions share, and what they did."""

    def __init__(self, source_url: str, queue_url: str, seed: int) -> None:
        self.urls = source_url, queue_url
        self.seed = seed
        self.committed: list[int] = []
        self.ended: list[int] = []
        self.deaths = 0
        self.refused = 0
        self.over = threading.Event()
        self.failures: list[BaseException] = []

    def session(self, number: int, work: Callable[[random.Random], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work(random.Random(self.seed * 100 + number))  # noqa: S311 - chance, not secrecy
            except BaseException as error:  # noqa: BLE001 - told by the test, which waits for all
                self.failures.append(error)
                self.over.set()

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def enqueuer(self, url: str) -> Callable[[random.Random], None]:
        def work(chance: random.Random) -> None:
            with psycopg.connect(url) as conn:
                for _ in range(TRANSACTIONS):
                    ids = enqueue_bulk(conn, chance.randint(1, 20)) if chance.random() < 0.3 else [enqueue(conn)]
                    if chance.random() < 0.2:  # somebody who takes their time
                        threading.Event().wait(chance.random() * 0.02)
                    if chance.random() < 0.2:
                        conn.rollback()
                    else:
                        conn.commit()
                        self.committed += ids

        return work

    def carrier(self, chance: random.Random) -> None:
        with (
            psycopg.connect(self.urls[0], autocommit=True) as source,
            psycopg.connect(self.urls[1], autocommit=True) as queue,
        ):
            steps = Steps(source, queue, timedelta(milliseconds=20), chance.choice([5, 1000]))
            while not self.over.is_set():
                if steps.token is None and not steps.take_over():
                    threading.Event().wait(0.005)
                elif chance.random() < 0.4:
                    self.die(steps, chance)
                elif steps.round() < 0:
                    self.refused += 1

    def die(self, steps: Steps, chance: random.Random) -> None:
        """Stop between two steps; what comes next knows nothing of it."""
        self.deaths += 1
        offered = steps.offer()
        point = chance.randrange(4)
        if point == 1:
            with steps.queue.transaction(force_rollback=True):
                steps.carry(offered.rows)
        elif point >= 2:
            if chance.random() < 0.3:
                threading.Event().wait(0.03)  # frozen for longer than the term
            answer = steps.carry(offered.rows)
            if point == 3 and answer["turn"] is not None and not answer.get("busy"):
                steps.taken(offered.ids)
        steps.token = None

    def relay(self, _chance: random.Random) -> None:
        with psycopg.connect(self.urls[1], autocommit=True) as conn:
            relay = Relay(conn, "20ms")
            while not self.over.is_set():
                if relay.tick()["idle"]:
                    threading.Event().wait(0.002)

    def claimer(self, chance: random.Random) -> None:
        with psycopg.connect(self.urls[1]) as conn:
            while not self.over.is_set():
                self.end_some(conn, chance.randint(1, 50))

    def end_some(self, conn: Connection, most: int) -> int:
        jobs = claim(conn, most)
        conn.commit()
        if jobs:
            lost = settle(conn, *(Settlement(job.id, job.claims, "complete", 0) for job in jobs))
            conn.commit()
            self.ended += [job.id for job in jobs if job.id not in lost]
        return len(jobs)


def test_every_committed_job_of_both_databases_ends_once(source_url: str, database_url: str) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - chance, not secrecy
    storm = Storm(source_url, database_url, seed)
    writers = [storm.session(n, storm.enqueuer(url)) for n, url in enumerate((source_url, source_url, database_url))]
    others = [
        storm.session(10 + n, work) for n, work in enumerate([*[storm.carrier] * CARRIERS, storm.relay, storm.claimer])
    ]
    for writer in writers:
        writer.join()
    storm.over.set()
    for thread in others:
        thread.join()
    assert not storm.failures, f"seed {seed}"
    _settle_down(storm)
    assert sorted(storm.ended) == sorted(storm.committed), f"seed {seed}"
    assert storm.deaths > CARRIERS, f"seed {seed}: nothing was tried"


def _settle_down(storm: Storm) -> None:
    """Let one carrier, one relay and one claimer finish what is left."""
    with (
        psycopg.connect(storm.urls[0], autocommit=True) as source,
        psycopg.connect(storm.urls[1], autocommit=True) as queue,
        psycopg.connect(storm.urls[1]) as claimer,
    ):
        steps, relay = Steps(source, queue), Relay(queue, "1ms")
        for _ in range(20):
            if steps.token is None:
                while not steps.take_over():  # the turn of whoever died last may not be over
                    pass
            steps.round()
            relay.tick()
            while storm.end_some(claimer, 1000):
                relay.tick()
        assert column(source, "SELECT id FROM pgqueue.outbox") == []
        assert column(queue, "SELECT id FROM pgqueue.carried") == []
