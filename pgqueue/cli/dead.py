"""`pgqueue dead`: the dead letter queue: look, give another life, or let go."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli import redrive
from pgqueue.cli.jobs import Correlation, JobId, Kind, Limit, Organization, Queue, described
from pgqueue.cli.output import Column, age, print_json, record, sheet, table
from pgqueue.cli.state import opened, options
from pgqueue.cli.triage import Fingerprint, Since, Why, dead_filter
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from pgqueue.cli.database import Database

group = typer.Typer(help="Look at dead letters (a bare `pgqueue dead` lists), requeue or discard them.")


class By(StrEnum):
    """What dead letters are counted by."""

    error = "error"
    kind = "kind"
    organization = "organization"


_COLUMNS = (
    Column("id", right=True),
    Column("kind"),
    Column("queue"),
    Column("organization"),
    Column("died of"),
    Column("attempts", right=True),
    Column("ago", right=True),
    Column("fault", style="dim"),
    Column("error", grows=True),
)


@group.command("list")
def list_dead(  # noqa: PLR0913 - every filter is an option
    ctx: typer.Context,
    *,
    queue: Queue = None,
    kind: Kind = None,
    organization: Organization = None,
    correlation: Correlation = None,
    died_of: Why = None,
    fingerprint: Fingerprint = None,
    since: Since = None,
    by: Annotated[By | None, typer.Option(help="Count them instead, most first.")] = None,
    limit: Limit = 50,
) -> None:
    """List dead letters, the last to die first, or count them by what they have in common."""
    with opened(ctx) as database:
        if by is not None:
            _groups(ctx, database, by, limit)
            return
        which = dead_filter(queue, kind, organization, correlation, died_of, fingerprint, since)
        found = database.ask(database.control.find_dead(which, limit=limit))
    if options(ctx).json:
        print_json([record(job) for job in found])
        return
    rows = [
        (
            job.id,
            job.kind,
            job.queue,
            job.organization_id,
            job.reason,
            job.attempt,
            age(job.age_seconds),
            (job.fingerprint or "")[:8],
            _first_line(job.error),
        )
        for job in found
    ]
    table(_COLUMNS, rows, empty="no dead letters")


def _groups(ctx: typer.Context, database: "Database", by: By, limit: int) -> None:
    control = database.control
    ask = {
        By.error: control.dead_by_error,
        By.kind: control.dead_by_kind,
        By.organization: control.dead_by_organization,
    }
    found = database.ask(ask[by](limit=limit))
    now = database.ask(control.now())
    if options(ctx).json:
        print_json([record(group) for group in found])
        return
    columns = (
        Column(str(by)),
        Column("jobs", right=True),
        Column("first ago", right=True),
        Column("last ago", right=True),
        Column("sample", right=True),
        Column("its error", grows=True),
    )
    rows = [
        (
            one.name,
            one.jobs,
            age((now - one.first_died_at).total_seconds()),
            age((now - one.last_died_at).total_seconds()),
            one.sample_id,
            _first_line(one.sample_error),
        )
        for one in found
    ]
    table(columns, rows, empty="no dead letters")


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


@group.command("show")
def show_dead(ctx: typer.Context, job_id: JobId) -> None:
    """Show everything about one dead letter: its arguments, why it died, all its errors."""
    with opened(ctx) as database:
        found = database.ask(database.control.show_dead(job_id))
    if found is None:
        raise ConfigurationError(f"job {job_id} is not dead; `pgqueue jobs show {job_id}` says where it is")
    if options(ctx).json:
        print_json(record(found))
    else:
        sheet(described(found._asdict()))


group.command("requeue")(redrive.requeue)
group.command("discard")(redrive.discard)
