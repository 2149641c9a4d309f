"""What must hold at every moment, and at the end, whatever the sessions did."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from tests.sql.client import Connection

_MARKS = "SELECT queue, lane, greatest(pg_sequence_last_value(mark), 1) FROM pgqueue.marks"
_BELOW_V = """
SELECT j.id, j.queue, j.position, k.v FROM pgqueue.jobs j
JOIN unnest(%s::text[], %s::smallint[], %s::bigint[]) AS k (queue, lane, v) ON k.queue = j.queue AND k.lane = j.lane
WHERE j.position < k.v AND j.claimed_by IS NULL
  AND NOT EXISTS (SELECT FROM pgqueue.pins p WHERE p.job_id = j.id AND p.position = j.position)
"""
_PERMITTED = """
SELECT l, count(*) FROM pgqueue.jobs j, unnest(j.limits) AS l
WHERE j.position IS NOT NULL AND l NOT LIKE '% rate:%' GROUP BY l
"""
_OUTBOX_MARKS = """
SELECT coalesce(pg_sequence_last_value('pgqueue.outbox_mark_single'), 0),
       coalesce(pg_sequence_last_value('pgqueue.outbox_mark_bulk'), 0)
"""
_BELOW_OUTBOX_MARK = """
SELECT o.lane, o.id FROM pgqueue.outbox o
WHERE (o.lane = 0 AND o.id <= %s) OR (o.lane = 1 AND o.id <= %s)
"""


@dataclass
class Journal:
    """What the sessions know for certain: what they committed, and what the database answered."""

    seed: int
    committed: set[int] = field(default_factory=set)
    rolled_back: set[int] = field(default_factory=set)
    fences: set[tuple[int, int]] = field(default_factory=set)
    ended: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, n: int = 1) -> None:
        with self.lock:
            self.counts[what] += n

    def complain(self, *violations: str) -> None:
        with self.lock:
            self.violations.extend(f"{violation} (seed {self.seed})" for violation in violations)

    def enqueued(self, ids: list[int], *, committed: bool) -> None:
        with self.lock:
            (self.committed if committed else self.rolled_back).update(ids)
            self.counts["enqueued" if committed else "enqueues rolled back"] += len(ids)

    def claimed(self, fences: list[tuple[int, int]]) -> None:
        """Committed claims: a fence is given once, ever."""
        with self.lock:
            twice = self.fences.intersection(fences)
            self.fences.update(fences)
            self.counts["claims"] += len(fences)
        self.complain(*(f"job {job} was claimed twice with the same fence {fence}" for job, fence in twice))

    def settled(self, ids: set[int]) -> None:
        """Committed endings that take the job out of the queue for good."""
        with self.lock:
            self.ended.update(ids)
            self.counts["ended"] += len(ids)


def below_the_marks(conn: Connection) -> list[str]:
    """Look for jobs that no claim and no relay would find any more.

    The marks are read first, the rows with a later snapshot: a mark that is newer than the rows would pass
    claims that the snapshot does not show yet, and accuse the innocent.
    """
    found = []
    marks = conn.execute(_MARKS).fetchall()
    rows = conn.execute(_BELOW_V, [list(c) for c in zip(*marks, strict=True)] if marks else [[], [], []])
    for job, queue, position, v in rows:
        found.append(f"job {job} stands unclaimed at position {position} of {queue}, below V = {v}")
    outbox_marks = conn.execute(_OUTBOX_MARKS).fetchone()
    for lane, job in conn.execute(_BELOW_OUTBOX_MARK, outbox_marks):
        found.append(f"job {job} stands in lane {lane} of the outbox, below its mark {outbox_marks}")
    return found


def over_the_limit(conn: Connection) -> list[str]:
    """Look for keys of which more jobs stand in line or run than may: one snapshot, so what it shows was true."""
    return [f"{n} jobs have a permit for {limit}" for limit, n in conn.execute(_PERMITTED) if n > int(limit.split()[0])]


def permits_left(conn: Connection) -> list[str]:
    """When nothing lives any more, nobody has a permit."""
    left = conn.execute(
        """SELECT key, unnest(numbers), unnest(jobs) FROM pgqueue.permits
           UNION ALL SELECT 'freed', id, permits[1] FROM pgqueue.freed"""
    )
    return [f"a permit is left: {row}" for row in left.fetchmany(10)]


def stale_settlement(lost: set[int], job: int, fence: int, newest: int) -> list[str]:
    """Complain about a settlement with an older number that was not refused."""
    if job in lost:
        return []
    return [f"job {job} was settled with fence {fence} although {newest} had been given"]


def at_the_end(conn: Connection, journal: Journal) -> list[str]:
    """Every committed job ended exactly once; nothing else exists."""
    ends: Counter[int] = Counter()
    for table in ("finished_jobs", "dead_jobs"):
        ends.update(row[0] for row in conn.execute(cast("Any", f"SELECT id FROM pgqueue.{table}")))
    left = {row[0] for row in conn.execute("SELECT id FROM pgqueue.jobs UNION ALL SELECT id FROM pgqueue.outbox")}
    found = [f"jobs without an end: {sorted(left)[:10]} of {len(left)}"] if left else []
    if lost := journal.committed - ends.keys() - left:
        found.append(f"jobs lost: {sorted(lost)[:10]} of {len(lost)}")
    if twice := {job for job, n in ends.items() if n > 1} | {job for job, n in journal.ended.items() if n > 1}:
        found.append(f"jobs that ended more than once: {sorted(twice)[:10]} of {len(twice)}")
    if ghosts := (ends.keys() | left) - journal.committed:
        found.append(f"jobs that nobody committed: {sorted(ghosts)[:10]} of {len(ghosts)}")
    return [f"{violation} (seed {journal.seed})" for violation in found]
