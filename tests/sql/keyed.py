"""Unique jobs, for tests that look at what becomes of them."""

from __future__ import annotations

import json
from typing import Any, cast

from tests.sql.client import (
    Connection,
    scalar,
)


def keyed(conn: Connection, key: str = "k", n: int = 0, **options: object) -> int:
    """A unique job whose arguments tell it apart."""
    names = "".join(f", {name} => %({name})s" for name in options)
    query = f"SELECT pgqueue.enqueue('K', %(args)s, 'org', 'user', unique_key => %(key)s{names})"
    params = {"key": key, "args": json.dumps({"n": n}), **options}
    return cast("int", cast("Any", conn.execute(cast("Any", query), params).fetchone())[0])


def survivor(conn: Connection, job: int) -> int | None:
    return cast("int | None", scalar(conn, "SELECT survivor FROM pgqueue.merged_jobs WHERE id = %s", job))


def number(conn: Connection, job: int) -> int:
    """What the job will do."""
    return cast("int", scalar(conn, "SELECT (args ->> 'n')::int FROM pgqueue.jobs WHERE id = %s", job))


def due_in(conn: Connection, job: int) -> float:
    return float(
        scalar(conn, "SELECT extract(epoch FROM run_at - pgqueue.clock()) FROM pgqueue.jobs WHERE id = %s", job)
    )
