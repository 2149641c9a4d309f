"""Which dead letters: the filters that `pgqueue dead` list, requeue and discard share."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from pgqueue.queries.control_rows import DeadFilter


class Reason(StrEnum):
    """Why a job died."""

    attempts = "attempts"
    crashed = "crashed"
    expired = "expired"
    dead = "dead"
    invalid = "invalid"
    unmovable = "unmovable"


Why = Annotated[Reason | None, typer.Option("--died-of", help="Only jobs that died of this.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only jobs with this fault (the beginning is enough).")]
Since = Annotated[str | None, typer.Option(metavar="1h", help="Only what happened within this time.")]


def dead_filter(  # noqa: PLR0917 - one for each option
    queue: str | None,
    kind: str | None,
    organization: str | None,
    correlation: UUID | None,
    died_of: Reason | None,
    fingerprint: str | None,
    since: str | None,
) -> DeadFilter:
    """Read the options of a command."""
    reason = str(died_of) if died_of else None
    return DeadFilter(queue, kind, organization, correlation, reason, fingerprint, within(since))


def within(since: str | None) -> timedelta | None:
    """Read ``--since``."""
    if since is None:
        return None
    from pgqueue.duration import duration

    return duration(since, what="--since")
