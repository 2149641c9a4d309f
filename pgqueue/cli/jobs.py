"""`pgqueue jobs`: look at jobs in any state, and cancel them."""

import sys
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer

from pgqueue.cli import USAGE
from pgqueue.cli.output import Column, age, indented, print_json, record, say, sheet, table, when
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError
from pgqueue.terminal import neutral

group = typer.Typer(help="Look at jobs wherever they stand (a bare `pgqueue jobs` lists), and cancel them.")

MAX_ID = (1 << 63) - 1
KEEP_CANCELLED = timedelta(days=7)


class State(StrEnum):
    """Where a job can stand."""

    enqueued = "enqueued"
    waiting = "waiting"
    held = "held"
    ready = "ready"
    running = "running"
    completed = "completed"
    cancelled = "cancelled"
    discarded = "discarded"
    dead = "dead"
    merged = "merged"


Queue = Annotated[str | None, typer.Option(help="Only jobs of this queue.")]
Kind = Annotated[str | None, typer.Option(help="Only jobs of this kind.")]
Organization = Annotated[str | None, typer.Option(help="Only jobs of this organization.")]
Correlation = Annotated[UUID | None, typer.Option(help="Only jobs with this correlation id.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
JobId = Annotated[int, typer.Argument(min=1, max=MAX_ID, metavar="ID")]
JobIds = Annotated[list[int], typer.Argument(min=1, max=MAX_ID, metavar="ID...")]

_COLUMNS = (
    Column("id", right=True),
    Column("state"),
    Column("kind"),
    Column("queue"),
    Column("organization"),
    Column("attempt", right=True),
    Column("age", right=True),
    Column("due", right=True),
    Column("reason", grows=True, style="dim"),
)


@group.command("list")
def list_jobs(
    ctx: typer.Context,
    *,
    queue: Queue = None,
    kind: Kind = None,
    state: Annotated[list[State] | None, typer.Option(help="Only jobs in this state (may be repeated).")] = None,
    organization: Organization = None,
    correlation: Correlation = None,
    limit: Limit = 50,
) -> None:
    """List jobs, newest first."""
    with opened(ctx) as database:
        found = database.ask(
            database.control.find_jobs(
                limit=limit,
                queue=queue,
                kind=kind,
                states=[str(one) for one in state] if state else None,
                organization_id=organization,
                correlation_id=correlation,
            )
        )
    if options(ctx).json:
        print_json([record(job) for job in found])
        return
    rows = [
        (
            job.id,
            job.state,
            job.kind,
            job.queue,
            job.organization_id,
            _attempts(job.attempt, job.max_attempts),
            age(job.age_seconds),
            _due(job.state, job.starts_in_seconds),
            job.reason,
        )
        for job in found
    ]
    table(_COLUMNS, rows, empty="no jobs")
    if sys.stdout.isatty() and len(found) == limit:
        say(f"the newest {limit}; more with --limit, or narrow it with a filter")


def _attempts(attempt: int, most: int | None) -> str:
    return f"{attempt}/{most}" if most else str(attempt)


def _due(state: str, seconds: float | None) -> str:
    if state not in {"enqueued", "waiting"} or seconds is None:
        return ""
    return age(-seconds) if seconds > 0 else "now"


@group.command("show")
def show_job(ctx: typer.Context, job_id: JobId) -> None:
    """Show everything about one job; of a merged one, the job that does its work."""
    with opened(ctx) as database:
        survivor = database.ask(database.control.survivor(job_id))
        found = database.ask(database.control.show_job(job_id if survivor is None else survivor))
        if found is None and survivor is not None:  # it is not kept as long as what was merged into it
            found = database.ask(database.control.show_job(job_id))
        if found is None:
            raise ConfigurationError(_gone(job_id, database.highest_id()))
    if options(ctx).json:
        print_json(record(found))
        return
    if survivor is not None:
        say(f"job {job_id} was merged into job {survivor}" + (", which is shown" if found.id == survivor else ""))
    sheet(described(found._asdict()))


def _gone(job_id: int, highest: int) -> str:
    if job_id > highest:
        return f"there is no job {job_id}: the last one has the id {highest}"
    return (
        f"job {job_id} is not kept any more: it ended longer ago than its kind is kept "
        "(completed jobs 1 hour, cancelled and discarded ones 7 days, unless set otherwise), "
        "or the transaction that enqueued it was rolled back"
    )


def described(fields: dict[str, Any]) -> dict[str, object]:
    """Return what a sheet shows of a row: times readable, JSON over several lines."""
    shown: dict[str, object] = {}
    for name, value in fields.items():
        if name.endswith("_at"):
            shown[name] = when(value)
        elif name in {"args", "errors"}:
            shown[name] = "" if value in {"[]", None} else indented(value)
        else:
            shown[name] = value
    return shown


@group.command("cancel")
def cancel_jobs(
    ctx: typer.Context,
    ids: JobIds,
    *,
    reason: Annotated[str, typer.Option(help="Why; kept with the job.")] = "",
    by: By = None,
) -> None:
    """Cancel jobs; a running one is asked to stop, a merged one is left alone.

    Exit code 1 if one of them was not live, 2 if none was.
    """
    why = reason or f"cancelled by {by or os_user()}"
    with opened(ctx) as database:
        results = [
            (job, database.ask(database.control.cancel(job, reason=why, keep=KEEP_CANCELLED, by=by or os_user())))
            for job in dict.fromkeys(ids)
        ]
    if options(ctx).json:
        print_json([{"id": job, "result": result or "not live"} for job, result in results])
    else:
        for job, result in results:
            say(f"job {job} {_became(job, result)}")
    if any(result in {None, "merged"} for _, result in results):
        raise typer.Exit(1 if any(result for _, result in results) else USAGE)


def _became(job: int, result: str | None) -> str:
    words = {
        "asked": "is running, its worker is asked to stop",
        "merged": f"was merged into another one, which goes on; `pgqueue jobs show {job}` says which",
        None: f"is not live; `pgqueue jobs show {job}` says where it is",
    }
    return words.get(result, neutral(str(result)))
