"""The verbs of the queue as plain calls on one psycopg connection, for tests that look at the SQL itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from pgqueue.db import run
from pgqueue.queries.testing import Testing
from pgqueue.sql import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta


Connection = psycopg.Connection[tuple[Any, ...]]

WORKER = UUID(int=1)
NO_TERM = "1 millisecond"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a test needs to know of a job it has claimed."""

    id: int
    queue: str
    kind: str
    attempt: int
    claims: int
    crashes: int
    refusals: int
    cancel_requested: bool
    doomed: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """One job's ending, as `settle` takes it."""

    job: int
    fence: int
    moment: str
    seconds: float | None = 3600
    note: str | None = None


def statement(name: str) -> str:
    """A statement of the chapters."""
    return load().statements[name]


def scalar(conn: Connection, text: str, *params: object) -> Any:
    """The first column of the first row."""
    row = conn.execute(cast("Any", text), params or None).fetchone()
    return row[0] if row else None


def column(conn: Connection, text: str, *params: object) -> list[Any]:
    """The first column."""
    return [row[0] for row in conn.execute(cast("Any", text), params or None)]


def enqueue(conn: Connection, queue: str = "default", kind: str = "K", **options: object) -> int:
    """One job by SQL; options are the further parameters of the stored function."""
    names = "".join(f", {name} => %({name})s" for name in options)
    query = f"SELECT pgqueue.enqueue(%(kind)s, '{{}}', 'org', 'user', queue => %(queue)s{names})"
    row = conn.execute(cast("Any", query), {"kind": kind, "queue": queue, **options}).fetchone()
    assert row
    return cast("int", row[0])


def enqueue_bulk(conn: Connection, count: int, queue: str = "default") -> list[int]:
    """Many jobs by COPY, as `enqueue_many` sends them; a transaction of the caller's."""
    marker = uuid4().int >> 32 << 32
    after = scalar(conn, statement("last_job_id"))
    with conn.cursor() as cursor, cursor.copy(cast("Any", statement("enqueue_many"))) as copy:
        for n in range(count):
            shared = (None, None, None, 1, None, 0, uuid4(), queue, "K", "org", "user", *([None] * 5))
            copy.write_row((1, *shared, UUID(int=marker + n), None, None, "{}"))
    found = conn.execute(
        cast("Any", statement("enqueued_ids")),
        {"after": after, "first": UUID(int=marker), "last": UUID(int=marker + count)},
    )
    return [row[0] for row in found]


@dataclass(slots=True)
class Relay:
    """One process that relays: it keeps its state between calls, as long as they are committed."""

    conn: Connection
    term: str = "3s"
    batch: int = 1000
    state: dict[str, Any] | None = None

    def call(self, *, stuck: Sequence[tuple[str, int]] = ()) -> dict[str, Any]:
        """Call without keeping the state."""
        params = {
            "state": json.dumps(self.state) if self.state else None,
            "batch": self.batch,
            "term": self.term,
            "wake": None,
            "stuck": json.dumps(list(stuck)),
        }
        text = statement("relay").replace("%(term)s", "%(term)s::interval")
        row = self.conn.execute(cast("Any", text), params or None).fetchone()
        assert row
        return cast("dict[str, Any]", json.loads(row[0]))

    def tick(self, *, stuck: Sequence[tuple[str, int]] = ()) -> dict[str, Any]:
        """One committed call (the connection is in autocommit)."""
        result = self.call(stuck=stuck)
        self.state = result["state"]
        return result


def claim(
    conn: Connection, limit: int = 100, queue: str = "default", *, lease: str = "30s", worker: UUID = WORKER
) -> list[Claimed]:
    """Claim from one queue."""
    rows = conn.execute(
        """SELECT id, queue, kind, attempt, claims, crashes, refusals, cancel_requested, doomed
           FROM pgqueue.claim(%s, %s, %s, %s::interval)""",
        [worker, [queue], [limit], lease],
    )
    return [Claimed(*row) for row in rows]


def settle(conn: Connection, *settlements: Settlement) -> set[int]:
    """Settle a batch; the result is what did not change."""
    return set(
        column(
            conn,
            "SELECT pgqueue.settle(%s::bigint[], %s::integer[], %s::text[], %s::float8[], %s::text[])",
            [s.job for s in settlements],
            [s.fence for s in settlements],
            [s.moment for s in settlements],
            [s.seconds for s in settlements],
            [s.note for s in settlements],
        )
    )


def ended(job: Claimed, moment: str, seconds: float | None = 3600, note: str | None = None) -> Settlement:
    """The ending of a job that the caller has claimed."""
    if moment == "bury" and note is None:
        note = json.dumps({"reason": "dead", "error": "it is dead", "type": "Dead", "fingerprint": "f"})
    return Settlement(job.id, job.claims, moment, seconds, note)


def rescue(conn: Connection, jobs: Iterable[Claimed], *, backoff: float = 0, max_crashes: int = 3) -> set[int]:
    """Rescue those of the jobs whose lease is over."""
    told = list(jobs)
    rows = conn.execute(
        cast("Any", statement("rescue")),
        {
            "ids": [job.id for job in told],
            "claims": [job.claims for job in told],
            "backoff": backoff,
            "max_crashes": max_crashes,
        },
    )
    return {row[0] for row in rows}


def expire_leases(conn: Connection) -> None:
    """As if every worker had been silent for long."""
    conn.execute("UPDATE pgqueue.jobs SET lease_until = lease_until - interval '1 day' WHERE claimed_by IS NOT NULL")


def advance_clock(conn: Connection, by: timedelta) -> None:
    """Let the database of this test live in another hour."""
    with conn.transaction():
        run(conn, Testing().shift(by))
        run(conn, Testing().database_clock())


def state_of(conn: Connection, job: int) -> str | None:
    """Where the job stands, as people see it."""
    return cast("str | None", scalar(conn, "SELECT state FROM pgqueue.all_jobs WHERE id = %s", job))


@dataclass(slots=True)
class Marks:
    """V and the highest position of one queue."""

    v: int = 0
    head: int = 0
    names: tuple[str, int] = field(default=("default", 0))

    @classmethod
    def of(cls, conn: Connection, queue: str = "default", lane: int = 0) -> Marks:
        """Read them."""
        for name, number, v, head in conn.execute(cast("Any", statement("marks"))):
            if (name, number) == (queue, lane):
                return cls(v, head, (name, number))
        return cls(names=(queue, lane))


def enqueue_row(conn: Connection, count: int = 1, *, lane: int = 0, **columns: object) -> list[int]:
    """Rows of the outbox with columns of the test's choice, such as limits, cost, priority or organization_id."""
    given: dict[str, object] = {"queue": "default", "kind": "K", "organization_id": "org", **columns}
    query = sql.SQL(
        """INSERT INTO pgqueue.outbox (lane, correlation_id, trace_id, user_id, args, {})
           SELECT %s, gen_random_uuid(), gen_random_uuid(), 'user', '{{}}', {} FROM generate_series(1, %s)
           RETURNING id"""
    ).format(sql.SQL(", ").join(map(sql.Identifier, given)), sql.SQL(", ").join(sql.Placeholder() * len(given)))
    return [row[0] for row in conn.execute(query, [lane, *given.values(), count])]


def claimed(conn: Connection, relay: Relay, count: int) -> list[Claimed]:
    for _ in range(count):
        enqueue(conn)
    relay.tick()
    return claim(conn, count)


def held(conn: Connection) -> dict[int, str]:
    """What jobs wait for that have no position."""
    return dict(conn.execute("SELECT id, hold FROM pgqueue.jobs WHERE hold IS NOT NULL ORDER BY id").fetchall())


def taken(conn: Connection, key: str) -> int:
    """How many permits of a key are given."""
    count: int = scalar(conn, "SELECT coalesce(sum(cardinality(numbers)), 0) FROM pgqueue.permits WHERE key = %s", key)
    return count
