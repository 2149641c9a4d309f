"""The sessions of the randomised test. Each has a connection, a seeded source of chance, and one thing it does."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg

from tests.invariants.checker import Journal, stale_settlement
from tests.sql.client import (
    Claimed,
    Connection,
    Relay,
    claim,
    ended,
    enqueue,
    enqueue_bulk,
    enqueue_row,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUES = ("default", "high", "bulk")
FAIR = "bulk"
LIMITS = ["2 a", "3 b", "9 c=d", "500/1000000/5/2 rate:e"]
PATIENCE = 5.0  # only ever reached when something is broken; the end of the work ends all waiting


@dataclass
class Stage:
    """What the sessions share."""

    url: str
    journal: Journal
    working: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    rounds: int = 0
    moved: threading.Condition = field(default_factory=threading.Condition)

    def ticked(self) -> None:
        """A relay has looked: whoever holds a transaction open for some rounds may go on."""
        with self.moved:
            self.rounds += 1
            self.moved.notify_all()

    def hold(self, rounds: int) -> None:
        """Wait while the relays look so many times."""
        with self.moved:
            goal = self.rounds + rounds
            self.moved.wait_for(lambda: self.rounds >= goal or self.done.is_set(), PATIENCE)

    def breathe(self) -> None:
        """Nothing to do: let somebody else have the processor until the next round."""
        with self.moved:
            self.moved.wait(0.002)


class Actor(threading.Thread):
    """One session; an error in it is a violation."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stage = stage
        self.journal = stage.journal
        self.chance = random.Random(f"{stage.journal.seed} {name}")  # noqa: S311 - chance, not secrecy
        self.conn: Connection = psycopg.connect(stage.url, autocommit=True, application_name=name)

    def run(self) -> None:
        try:
            for _ in self.turns():
                self.act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            self.journal.complain(f"{self.name} failed: {type(error).__name__}: {error}")
        finally:
            self.conn.close()

    def turns(self) -> Iterator[None]:
        while not self.stage.done.is_set():
            yield

    def act(self) -> None:
        raise NotImplementedError

    def reconnect(self) -> None:
        """Die in the middle: the server rolls back whatever was open."""
        self.conn.close()
        self.conn = psycopg.connect(self.stage.url, autocommit=True, application_name=self.name)


class Enqueuer(Actor):
    """Singles and bulk, now and later; quick and slow transactions, given up ones, savepoints."""

    def __init__(self, stage: Stage, name: str, transactions: int) -> None:
        super().__init__(stage, name)
        self.transactions = transactions

    def turns(self) -> Iterator[None]:
        for _ in range(self.transactions):
            yield

    def act(self) -> None:
        kept: list[int] = []
        undone: list[int] = []
        slow = self.chance.random() < 0.1
        commits = self.chance.random() < 0.85
        with self.conn.transaction(force_rollback=not commits):
            for _ in range(self.chance.randint(1, 3)):
                stays = self.chance.random() < 0.85
                (kept if stays and commits else undone).extend(self._enqueue(stays=stays))
            if slow:
                self.journal.count("slow transactions")
                self.stage.hold(self.chance.randint(3, 12))
        self.journal.enqueued(kept, committed=True)
        self.journal.enqueued(undone, committed=False)

    def _enqueue(self, *, stays: bool) -> list[int]:
        """Some jobs in a savepoint."""
        with self.conn.transaction(force_rollback=not stays):
            queue = self.chance.choice(QUEUES)
            if self.chance.random() < 0.25:
                return enqueue_bulk(self.conn, self.chance.randint(1, 12), queue)
            if self.chance.random() < 0.4:
                return self._enqueue_limited(queue)
            delay = self.chance.choice([None, None, "5 ms", "30 ms"])
            return [enqueue(self.conn, queue, delay=delay) for _ in range(self.chance.randint(1, 5))]

    def _enqueue_limited(self, queue: str) -> list[int]:
        """Jobs of one of few organizations, which count against up to three keys."""
        return enqueue_row(
            self.conn,
            self.chance.randint(1, 5),
            queue=queue,
            lane=self.chance.choice([0, 1]),
            organization_id=self.chance.choice(["org", "acme", "bulky"]),
            cost=self.chance.choice([None, 3]),
            limits=self.chance.sample(LIMITS, self.chance.randint(1, 3)),
            delay=self.chance.choice([None, None, timedelta(milliseconds=20)]),
        )


class Relayer(Actor):
    """Moves jobs; now and then forgets what it knew, gives up its transaction, or dies in it."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name)
        self.relay = Relay(self.conn, term="8 ms", batch=40)
        self.still: dict[tuple[str, int], tuple[int, int]] = {}

    def act(self) -> None:
        self.relay.conn = self.conn
        self.relay.batch = self.chance.choice([3, 40, 1000])
        fate = self.chance.random()
        if fate < 0.06:
            self._give_up(dies=fate < 0.02)
            return
        result = self.relay.tick(stuck=self._stuck())
        self._remember(result.get("lagging", []))
        self.journal.count("relay rounds")
        self.journal.count("relayed", result.get("relayed", 0))
        if self.chance.random() < 0.05:
            self.relay.state = None
        self.stage.ticked()
        if result["idle"]:
            self.stage.breathe()

    def _give_up(self, *, dies: bool) -> None:
        self.journal.count("relays died" if dies else "relays rolled back")
        if dies:
            self.conn.execute("BEGIN")
            self.relay.call()
            self.reconnect()
            self.relay.state = None
            return
        with self.conn.transaction(force_rollback=True):
            self.relay.call(stuck=self._stuck())

    def _remember(self, lagging: list[tuple[str, int, int]]) -> None:
        before, self.still = self.still, {}
        for queue, lane, v in lagging:
            seen, times = before.get((queue, lane), (v, 0))
            self.still[queue, lane] = (v, times + 1 if seen == v else 0)

    def _stuck(self) -> list[tuple[str, int]]:
        return [key for key, (_, times) in self.still.items() if times > 0]


class Claimer(Actor):
    """Claims and settles, with every outcome there is, and with every way to lose track."""

    MOMENTS = ("complete",) * 6 + ("retry", "retry", "snooze", "give_back", "bury", "discard", "cancel")

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name)
        self.worker = uuid4()
        self.before: list[Claimed] = []

    def act(self) -> None:
        queue = self.chance.choice(QUEUES)
        limit = self.chance.randint(1, 25)
        fate = self.chance.random()
        if fate < 0.08:
            self.journal.count("claims rolled back")
            with self.conn.transaction(force_rollback=True):
                claim(self.conn, limit, queue, worker=self.worker)
                self.stage.hold(self.chance.choice([0, 0, 4]))
            return
        lease = "1 millisecond" if fate < 0.2 else "1 minute"
        jobs = claim(self.conn, limit, queue, lease=lease, worker=self.worker)
        self.journal.claimed([(job.id, job.claims) for job in jobs])
        if len(jobs) > limit:
            self.journal.complain(f"{len(jobs)} jobs were claimed with limit {limit}")
        if fate < 0.12:
            self.journal.count("replies lost", len(jobs))
            return
        self._settle_the_past()
        self.before = self.chance.sample(jobs, min(len(jobs), 3))
        self._settle(jobs)
        if not jobs:
            self.stage.breathe()

    def _settle(self, jobs: list[Claimed]) -> None:
        if not jobs:
            return
        endings = [ended(job, self._moment(job), seconds=self._seconds()) for job in jobs]
        if self.chance.random() < 0.05:
            self.journal.count("settlements rolled back")
            with self.conn.transaction(force_rollback=True):
                settle(self.conn, *endings)
        lost = settle(self.conn, *endings)
        self.journal.count("leases lost", len(lost))
        self.journal.settled({e.job for e in endings if e.moment in {"complete", "discard", "cancel"}} - lost)

    def _moment(self, job: Claimed) -> str:
        return "bury" if job.doomed else self.chance.choice(self.MOMENTS)

    def _seconds(self) -> float:
        return self.chance.choice([0.001, 0.01, 0.02]) if self.chance.random() < 0.5 else 86400.0

    def _settle_the_past(self) -> None:
        """Jobs that this worker has settled, or lost, long ago: nothing of it may count any more."""
        for job in self.before:
            old = job.claims - 1 if job.claims > 1 and self.chance.random() < 0.5 else job.claims
            lost = settle(self.conn, ended(Claimed(**(_fields(job) | {"claims": old})), "complete"))
            self.journal.complain(*stale_settlement(lost, job.id, old, job.claims))
            self.journal.count("stale settlements")


def _fields(job: Claimed) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Claimed.__slots__}
