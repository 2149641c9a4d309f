"""`pgqueue doctor`: what is wrong or will be, what it means, and what to do next. It changes nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.doctor import checks, server, stamp
from pgqueue.doctor.finding import Finding, Limits
from pgqueue.errors import PgqueueError, SchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ORDER = ("fault", "warning", "note")


def examine(
    conn: psycopg.Connection[Any],
    schema: str,
    url: str,
    *,
    kinds: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> list[Finding]:
    """Run every check on an autocommit connection; faults come first.

    Args:
        conn: where the queue lives.
        schema: the schema of its tables.
        url: the same database, for the second connection of the wake-up test.
        kinds: what the application knows, if it was named.
        limits: from when on something is a finding.

    """
    limits = limits or Limits()
    findings = list(_server(conn, url, limits))
    try:
        stamp.check(conn, schema)
    except SchemaMismatch as error:
        findings.append(_schema(error))
    else:
        for check in checks.ALL:
            findings += _safely(check.__name__, partial(check, conn, schema, limits, kinds))
    return sorted(findings, key=lambda one: _ORDER.index(one.severity))


def _server(conn: psycopg.Connection[Any], url: str, limits: Limits) -> Iterator[Finding]:
    yield from _safely("settings", partial(server.settings, conn))
    yield from _safely("standby", partial(server.standby, conn))
    yield from _safely("snapshot", partial(server.oldest_snapshot, conn, limits))
    yield from _safely("wake_ups", partial(server.wake_ups, conn, url, limits))


def _schema(error: SchemaMismatch) -> Finding:
    said, _, advice = str(error).rpartition("; ")
    return Finding("schema", "fault", said, "Nothing can be enqueued or run with this package.", advice)


def _safely(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Run one check; one that cannot look (rights, a standby) is a finding and does not hide the others."""
    try:
        return list(check())
    except (psycopg.Error, PgqueueError) as error:
        why = str(error).strip().partition("\n")[0]
        return [
            Finding(
                f"unchecked-{name.replace('_', '-')}",
                "warning",
                f"could not be looked at: {why}",
                "This check says nothing; the others were made.",
                "Call doctor as the role that owns the queue's schema, on the primary.",
            )
        ]
