"""Findings about what recurs: entries that nobody fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.db import run
from pgqueue.doctor.finding import Finding, Limits, length
from pgqueue.queries.control import Control
from pgqueue.queries.schedules import Recurrence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg


def schedules(
    conn: psycopg.Connection[Any], schema: str, limits: Limits, _kinds: Sequence[str] | None
) -> Iterator[Finding]:
    """Enabled entries whose time has come and gone."""
    late = run(conn, Recurrence(schema).overdue(limits.overdue))
    if not late:
        return
    alive = any(not one.silent for one in run(conn, Control(schema).worker_list(silent=limits.silent)))
    left = [one for one in late if one.left and alive]
    overdue = [one for one in late if one not in left]
    if overdue:
        worst = overdue[0]
        yield Finding(
            "schedule-overdue",
            "fault",
            f"{len(overdue)} schedule(s) overdue: {', '.join(one.name for one in overdue[:5])}, "
            f"{worst.name} for {length(worst.seconds)}",
            "Their jobs are not made. What was missed is made up for as each entry says, when a worker fires it."
            if alive
            else "No worker is alive, and workers fire schedules.",
            "Look for schedule.unreadable in the workers' logs: is the extra installed, pgqueue-jobs[cron]?"
            if alive
            else "Start workers: pgqueue work --app module:attribute.",
            {"schedules": [one._asdict() for one in overdue]},
        )
    if left:
        yield Finding(
            "schedule-left",
            "note",
            f"{len(left)} schedule(s) of the code in no living worker: {', '.join(one.name for one in left[:5])}",
            "They left the code, or the workers that have them do not run. They make no jobs.",
            "If they left, nothing: their rows go after 30 days, or by pgqueue schedules remove. Else start workers.",
            {"schedules": [one._asdict() for one in left]},
        )
