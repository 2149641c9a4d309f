"""No queue at all: what PostgreSQL and one Python process reach with SQL written for this one purpose."""

from __future__ import annotations

import json
import select

import psycopg

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database, variant

BATCH = 500
TABLE = """
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, queue text NOT NULL DEFAULT 'default',
    lane smallint NOT NULL DEFAULT 0, kind text NOT NULL,
    args jsonb NOT NULL, enqueued_at timestamptz NOT NULL DEFAULT now(), attempt int NOT NULL DEFAULT 0,
    claims int NOT NULL DEFAULT 0, claimed_by uuid, claimed_at timestamptz, lease_until timestamptz
) WITH (fillfactor = 50);
CREATE INDEX ready ON jobs (queue, lane, id);
"""
INSERT = "INSERT INTO jobs (kind, args) VALUES (%s, %s::jsonb)"
CLAIM = """
WITH picked AS MATERIALIZED (
    SELECT id FROM jobs WHERE queue = 'default' AND lane = 0 AND claimed_by IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE jobs SET claimed_by = %s, claimed_at = now(), lease_until = now() + interval '30 s',
    attempt = attempt + 1, claims = claims + 1
FROM picked WHERE jobs.id = picked.id RETURNING jobs.id, jobs.kind, jobs.args::text
"""
DELETE = "DELETE FROM jobs WHERE id = ANY(%s)"
POP = """
WITH picked AS MATERIALIZED (
    SELECT id FROM jobs WHERE queue = 'default' AND lane = 0 ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
DELETE FROM jobs USING picked WHERE jobs.id = picked.id RETURNING jobs.id, jobs.kind, jobs.args::text
"""
BY_INDEX = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"  # however many rows
WORKER = "00000000-0000-4000-8000-000000000001"


class Measured(Peer):
    """One connection, statements prepared."""

    def __init__(self) -> None:
        self._conn = psycopg.connect(database(), autocommit=True)

    async def prepare(self) -> None:
        """Make one table with the columns and indexes that a queue needs."""
        self._conn.execute(TABLE)

    async def enqueue(self, jobs: list[Payload]) -> None:
        """COPY."""
        with self._conn.cursor() as cursor, cursor.copy("COPY jobs (kind, args) FROM STDIN") as copy:
            for job in jobs:
                copy.write_row(("noop", json.dumps(job)))

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """INSERT of one row between BEGIN and COMMIT."""
        for job in jobs:
            with self._conn.transaction():
                self._conn.execute(INSERT, ("noop", json.dumps(job)))

    async def ping(self, number: int) -> None:
        """INSERT and NOTIFY."""
        with self._conn.transaction():
            self._conn.execute(INSERT, ("ping", json.dumps({"number": number})))
            self._conn.execute("NOTIFY jobs")

    async def remaining(self) -> int:
        """Count rows."""
        row = self._conn.execute("SELECT count(*) FROM jobs").fetchone()
        return int(row[0]) if row else 0

    def worker(self) -> list[str]:
        """A loop of its own."""
        return ["-m", "benchmarks.peers.raw"]

    def settings(self) -> dict[str, str | int | float]:
        """What one loop does."""
        loop = "DELETE … RETURNING: a crash loses the batch" if variant() == "pop" else "claim (UPDATE), then DELETE"
        return {"loop": loop, "batch": BATCH, "bulk": "COPY"}


def work() -> None:
    """Claim and delete until the process is ended."""
    with psycopg.connect(database(), autocommit=True) as conn, psycopg.connect(database(), autocommit=True) as ear:
        conn.execute(BY_INDEX)
        conn.prepare_threshold = 0
        ear.execute("LISTEN jobs")
        while True:
            rows = _take(conn)
            if not rows:
                select.select([ear.fileno()], [], [], 1.0)
                list(ear.notifies(timeout=0))


def _take(conn: psycopg.Connection[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    if variant() == "pop":
        rows = conn.execute(POP, [BATCH], binary=True).fetchall()
    else:
        rows = conn.execute(CLAIM, [BATCH, WORKER], binary=True).fetchall()
    for _, kind, args in rows:
        if kind == "ping":
            started(json.loads(args)["number"])
    if rows and rows[0][1] == "noop":
        done(len(rows))
    if rows and variant() != "pop":
        conn.execute(DELETE, [[row[0] for row in rows]])
    return rows


if __name__ == "__main__":
    work()
