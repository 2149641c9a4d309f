"""The sessions and the journal of the randomised test of uniqueness."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tests.invariants.actors import Actor, Claimer, Relayer, Stage
from tests.invariants.checker import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sql.client import Connection

# The key says its policy. A key that follows promises a start after each enqueue that was committed.
POLICIES: dict[str, dict[str, str]] = {
    "live skip": {},
    "live replace": {"on_conflict": "replace"},
    "live replace_args": {"on_conflict": "replace_args"},
    "waiting skip": {"unique_while": "waiting"},
    "waiting replace": {"unique_while": "waiting", "on_conflict": "replace", "unique_max_wait": "1 second"},
    "period skip": {"unique_period": "1 second"},
}
FOLLOWS = ("live replace", "live replace_args", "waiting skip", "waiting replace")
QUEUES = ("default", "high", "bulk")

_TWINS = """
SELECT args ->> 'key', array_agg(id ORDER BY id) FROM pgqueue.jobs
WHERE args ->> 'key' LIKE 'live %' AND (hold IS NULL OR hold NOT LIKE 'unique:%')
GROUP BY 1 HAVING count(*) > 1
"""
_MERGED_HERE = "SELECT id, survivor FROM pgqueue.merged_jobs WHERE xmin = pg_current_xact_id()::xid"


@dataclass
class UniqueJournal(Journal):
    """What is known of each key: who has it, when it was last wanted, when it last started."""

    keys: dict[int, str] = field(default_factory=dict)
    ticks: int = 0
    wanted: Counter[str] = field(default_factory=Counter)
    started: Counter[str] = field(default_factory=Counter)

    def wants(self, keys: list[str]) -> None:
        """A transaction is about to commit; what starts from here on may serve it."""
        with self.lock:
            self.ticks += 1
            self.wanted.update({key: self.ticks - self.wanted[key] for key in keys})

    def claimed(self, fences: list[tuple[int, int]]) -> None:
        super().claimed(fences)
        with self.lock:
            for job, _ in fences:
                key = self.keys[job]
                self.started[key] = max(self.started[key], self.ticks)

    def gone(self) -> set[int]:
        """Jobs whose end is committed."""
        with self.lock:
            return set(self.ended)


class UniqueEnqueuer(Actor):
    """Enqueues the same few jobs again and again; commits, gives up, or dies."""

    def __init__(self, stage: Stage, name: str, transactions: int) -> None:
        super().__init__(stage, name)
        self.transactions = transactions
        self.uniques = cast("UniqueJournal", stage.journal)
        self.epoch = 0

    def turns(self) -> Iterator[None]:
        # Each key has a last enqueue, which is where one that is lost would be seen: so there are many keys.
        for number in range(self.transactions):
            self.epoch = number // 6
            yield

    def act(self) -> None:
        fate = self.chance.random()
        ids: dict[int, str] = {}
        self.conn.execute("BEGIN")
        for _ in range(self.chance.randint(1, 4)):
            key = f"{self.chance.choice(list(POLICIES))} {self.epoch}"
            job = self._enqueue(key)
            ids[job] = key
            with self.journal.lock:
                self.uniques.keys[job] = key
        if fate < 0.1:
            self.stage.hold(self.chance.randint(2, 8))
        if 0.1 <= fate < 0.25:
            self.journal.enqueued(list(ids), committed=False)
            if fate < 0.15:
                self.reconnect()
            else:
                self.conn.execute("ROLLBACK")
            return
        self.uniques.wants(list(ids.values()))
        self.conn.execute("COMMIT")
        self.journal.enqueued(list(ids), committed=True)
        self.stage.hold(self.chance.choice([1, 2, 5]))

    def _enqueue(self, key: str) -> int:
        # one key, one queue: a job's queue is its kind's
        options: dict[str, Any] = {"queue": QUEUES[len(key) % 3], **POLICIES[key.rpartition(" ")[0]]}
        if self.chance.random() < 0.4:
            options["delay"] = self.chance.choice(["2 ms", "20 ms", "80 ms"])
        names = "".join(f", {name} => %({name})s" for name in options)
        query = f"SELECT pgqueue.enqueue('K', %(args)s, 'org', 'user', unique_key => %(key)s{names})"
        params = {"key": key, "args": json.dumps({"key": key}), **options}
        return cast("int", cast("Any", self.conn.execute(cast("Any", query), params).fetchone())[0])


class UniqueRelayer(Relayer):
    """Looks, before it commits, at what it has merged: nothing into a job that had ended before it began."""

    def act(self) -> None:
        if self.chance.random() < 0.2:
            super().act()
            return
        self.relay.conn = self.conn
        self.relay.batch = self.chance.choice([2, 40, 1000])
        gone = cast("UniqueJournal", self.journal).gone()
        with self.conn.transaction():
            result = self.relay.call(stuck=self._stuck())
            merged = self.conn.execute(_MERGED_HERE).fetchall()
        self.relay.state = result["state"]
        self._remember(result.get("lagging", []))
        keys = cast("UniqueJournal", self.journal).keys
        for job, survivor in merged:
            if keys[job] != keys[survivor]:
                self.journal.complain(f"{job} ({keys[job]}) was merged into {survivor} ({keys[survivor]})")
            if survivor in gone and not keys[job].startswith("period"):
                self.journal.complain(f"{job} ({keys[job]}) was merged into {survivor}, which had ended")
        self.journal.count("merged", len(merged))
        self.stage.ticked()
        if result["idle"]:
            self.stage.breathe()


class UniqueClaimer(Claimer):
    """As any claimer, and a little slower, so that jobs run while others of their hash come."""

    def _settle(self, jobs: list[Any]) -> None:
        self.stage.hold(self.chance.choice([0, 1, 3]))
        super()._settle(jobs)


class TwinObserver(Actor):
    """Looks for two live jobs of one key that promises one."""

    def act(self) -> None:
        for key, ids in self.conn.execute(_TWINS).fetchall():
            self.journal.complain(f"{key} is live in {ids}")
        self.journal.count("looks for twins")
        self.stage.breathe()


def at_the_end(conn: Connection, journal: UniqueJournal) -> list[str]:
    """Every committed id ended once or leads to one that did; every follower started."""
    ends: Counter[int] = Counter()
    for table in ("finished_jobs", "dead_jobs", "jobs", "outbox"):
        ends.update(row[0] for row in conn.execute(cast("Any", f"SELECT id FROM pgqueue.{table}")))
    merged: dict[int, int] = dict(conn.execute("SELECT id, survivor FROM pgqueue.merged_jobs").fetchall())
    found = [
        f"job {job} is merged into {survivor}, which is none"
        for job, survivor in merged.items()
        if survivor not in ends
    ]
    if left := [row[0] for row in conn.execute("SELECT id FROM pgqueue.jobs UNION ALL SELECT id FROM pgqueue.outbox")]:
        found.append(f"jobs without an end: {left[:10]}")
    if both := ends.keys() & merged.keys():
        found.append(f"jobs that were merged and ended: {sorted(both)[:10]}")
    if twice := [job for job, n in ends.items() if n > 1]:
        found.append(f"jobs that ended twice: {twice[:10]}")
    if lost := journal.committed - ends.keys() - merged.keys():
        found.append(f"jobs lost: {sorted(lost)[:10]} of {len(lost)}")
    if ghosts := (ends.keys() | merged.keys()) - journal.committed:
        found.append(f"jobs that nobody committed: {sorted(ghosts)[:10]}")
    for key, when in journal.wanted.items():
        if key.startswith(FOLLOWS) and journal.started[key] < when:
            found.append(f"{key} was enqueued at {when} and last started at {journal.started[key]}")
    return [f"{violation} (seed {journal.seed})" for violation in found]
