"""Findings about the server: settings that lose data, old snapshots, wake-ups that do not arrive."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pgqueue.db import connect, run
from pgqueue.doctor.finding import Finding, Limits, length
from pgqueue.queries.control import Control
from pgqueue.queries.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_SERVER = 15


def settings(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Settings with which a commit may be lost, or means something else."""
    found = run(conn, Control().server_settings())
    if int(found["server_version_num"]) < OLDEST_SERVER * 10_000:
        yield Finding(
            "server-version",
            "fault",
            f"PostgreSQL {found['server_version']} is too old",
            "The queue uses what PostgreSQL has since version 15.",
            f"Upgrade the server to PostgreSQL {OLDEST_SERVER} or newer.",
        )
    for name, meaning in {
        "fsync": "After a crash of the machine committed jobs, or the whole database, may be lost.",
        "full_page_writes": "After a crash of the machine half-written pages cannot be repaired.",
    }.items():
        if found[name] == "off":
            yield Finding(
                f"setting-{name.replace('_', '-')}",
                "fault",
                f"{name} is off",
                meaning,
                f"Set {name} = on in postgresql.conf and reload; off is for throw-away databases only.",
            )
    if found["synchronous_commit"] == "off":
        yield Finding(
            "setting-synchronous-commit",
            "warning",
            "synchronous_commit is off",
            "The jobs of the last moments before a crash may be lost although their commit was confirmed.",
            "Set synchronous_commit = on, at least for the roles that enqueue.",
        )
    if found["default_transaction_isolation"] != "read committed":
        yield Finding(
            "setting-isolation",
            "fault",
            f"default_transaction_isolation is {found['default_transaction_isolation']!r}",
            "Relays and claims need READ COMMITTED: workers refuse to start.",
            "ALTER ROLE … SET default_transaction_isolation = 'read committed' for the role of the workers.",
        )


def standby(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    """A server that takes no writes."""
    _, read_only = run(conn, Upkeep().surroundings())
    if read_only:
        yield Finding(
            "standby",
            "fault",
            "the server is a read-only standby",
            "Nothing can be enqueued or run over this address.",
            "Name all servers in the address and add target_session_attrs=read-write.",
        )


def oldest_snapshot(conn: psycopg.Connection[Any], limits: Limits) -> Iterator[Finding]:
    """Who keeps rows of finished jobs from being removed."""
    found = run(conn, Control().oldest_snapshot())
    if found is None or (found.what == "session" and (found.age_seconds or 0) < limits.snapshot_age):
        return
    whose = f"{found.what} {found.name or ''}".strip() + (f", pid {found.pid}" if found.pid else "")
    told = [f"open for {length(found.age_seconds)}"] if found.age_seconds is not None else []
    told += [found.state] if found.state else []
    if found.query_age_seconds is not None:
        told.append(
            f"last query began {length(found.query_age_seconds)} ago: {found.query or '(not visible to this role)'}"
        )
    advice = {
        "session": f"End it in its program, or with SELECT pg_terminate_backend({found.pid}); "
        "idle_in_transaction_session_timeout prevents the next.",
        "prepared transaction": f"COMMIT PREPARED or ROLLBACK PREPARED {found.name!r}.",
        "replication slot": f"Reconnect its consumer, or SELECT pg_drop_replication_slot({found.name!r}).",
    }[found.what]
    yield Finding(
        "old-snapshot",
        "warning",
        f"the oldest snapshot is held by {whose} ({'; '.join(told) or 'inactive'})",
        f"Rows that {found.transactions} transactions since have made superfluous cannot be removed: tables grow. "
        "Claims stay fast, counts and looks get slower.",
        advice,
        found._asdict(),
    )


def wake_ups(conn: psycopg.Connection[Any], url: str, limits: Limits) -> Iterator[Finding]:
    """Send a notification over one connection and wait for it on another."""
    channel = f"pgqueue_doctor_{secrets.token_hex(6)}"
    with closing(connect(url, name="pgqueue doctor")) as listener:
        listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        run(conn, Control().wake(channel, "are you there"))
        arrived = any(True for _ in listener.notifies(timeout=limits.wake_up, stop_after=1))
    if not arrived:
        yield Finding(
            "wake-ups",
            "warning",
            f"a notification did not arrive within {length(limits.wake_up)}",
            "Workers do not hear of new jobs and find them by polling: later, and with more questions to the database. "
            "A transaction pooler between here and the server loses notifications.",
            "Is there a pooler? Give workers an address past it, or one of a pooler in session mode.",
        )
