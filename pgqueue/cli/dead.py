"""`pgqueue dead`: the dead letter queue: look, give another life, or let go."""

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pgqueue.cli.jobs import KEEP_CANCELLED, MAX_ID, Correlation, JobId, Kind, Limit, Organization, Queue, described
from pgqueue.cli.output import Column, age, print_json, record, say, sheet, table
from pgqueue.cli.state import opened, options, os_user
from pgqueue.errors import ConfigurationError
from pgqueue.queries.control_rows import DeadFilter

if TYPE_CHECKING:
    from pgqueue.cli.database import Database
    from pgqueue.db import Query

group = typer.Typer(help="Look at dead letters (a bare `pgqueue dead` lists), requeue or discard them.")

PAGE = 500  # ids per transaction: short locks, and what is done stays done


class Reason(StrEnum):
    """Why a job died."""

    attempts = "attempts"
    crashed = "crashed"
    expired = "expired"
    dead = "dead"
    invalid = "invalid"
    unmovable = "unmovable"


class By(StrEnum):
    """What dead letters are counted by."""

    error = "error"
    kind = "kind"
    organization = "organization"


Why = Annotated[Reason | None, typer.Option("--died-of", help="Only jobs that died of this.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only jobs with this fault (the beginning is enough).")]
Ids = Annotated[list[int] | None, typer.Argument(min=1, max=MAX_ID, metavar="[ID...]")]
Every = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which; change nothing.")]
Who = Annotated[str | None, typer.Option("--by", help="Who does it; kept with the job. Default: the OS user.")]

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
    by: Annotated[By | None, typer.Option(help="Count them instead, most first.")] = None,
    limit: Limit = 50,
) -> None:
    """List dead letters, the last to die first, or count them by what they have in common."""
    with opened(ctx) as database:
        if by is not None:
            _groups(ctx, database, by, limit)
            return
        which = _filter(queue, kind, organization, correlation, died_of, fingerprint)
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
        sys.stderr.write(f"pgqueue: job {job_id} is not dead; `pgqueue jobs show {job_id}` says where it is\n")
        raise typer.Exit(1)
    if options(ctx).json:
        print_json(record(found))
    else:
        sheet(described(found._asdict()))


@group.command("requeue")
def requeue(  # noqa: PLR0913 - every filter is an option
    ctx: typer.Context,
    ids: Ids = None,
    *,
    queue: Queue = None,
    kind: Kind = None,
    organization: Organization = None,
    correlation: Correlation = None,
    died_of: Why = None,
    fingerprint: Fingerprint = None,
    every: Every = False,
    dry_run: DryRun = False,
    by: Who = None,
) -> None:
    """Give dead jobs another life with a fresh budget of attempts: by id, or all that a filter finds."""
    which = _filter(queue, kind, organization, correlation, died_of, fingerprint)
    _require_choice(ids, which, every=every)
    who = by or os_user()
    with opened(ctx) as database:

        def change(page: list[int]) -> "Query[list[int]]":
            return database.control.requeue(page, by=who)

        _apply(ctx, database, _pages(database, ids, which), "requeued", None if dry_run else change)


@group.command("discard")
def discard(  # noqa: PLR0913 - every filter is an option
    ctx: typer.Context,
    ids: Ids = None,
    *,
    reason: Annotated[str, typer.Option(help="Why nobody wants them; kept with the job.")],
    queue: Queue = None,
    kind: Kind = None,
    organization: Organization = None,
    correlation: Correlation = None,
    died_of: Why = None,
    fingerprint: Fingerprint = None,
    every: Every = False,
    dry_run: DryRun = False,
    by: Who = None,
) -> None:
    """Let dead jobs go: they end as discarded, with who said so and why."""
    which = _filter(queue, kind, organization, correlation, died_of, fingerprint)
    _require_choice(ids, which, every=every)
    who = by or os_user()
    with opened(ctx) as database:

        def change(page: list[int]) -> "Query[list[int]]":
            return database.control.discard_dead(page, reason=reason, by=who, keep=KEEP_CANCELLED)

        _apply(ctx, database, _pages(database, ids, which), "discarded", None if dry_run else change)


def _filter(  # noqa: PLR0917 - one for each option
    queue: str | None,
    kind: str | None,
    organization: str | None,
    correlation: UUID | None,
    died_of: Reason | None,
    fingerprint: str | None,
) -> DeadFilter:
    reason = str(died_of) if died_of else None
    return DeadFilter(queue, kind, organization, correlation, reason, fingerprint)


def _require_choice(ids: list[int] | None, which: DeadFilter, *, every: bool) -> None:
    filtered = any(which)
    if bool(ids) + filtered + every != 1:
        raise ConfigurationError(
            "say which dead letters: ids, or a filter (--queue, --kind, --organization, --correlation, --died-of, "
            "--fingerprint), or --all; one of the three"
        )


def _pages(database: "Database", ids: list[int] | None, which: DeadFilter) -> Iterator[list[int]]:
    if ids:
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), PAGE):
            yield unique[start : start + PAGE]
        return
    until = database.ask(database.control.now())
    after = 0
    while page := database.ask(database.control.dead_ids(which, after=after, until=until, limit=PAGE)):
        yield page
        after = page[-1]


def _apply(
    ctx: typer.Context,
    database: "Database",
    pages: Iterator[list[int]],
    verb: str,
    change: "Callable[[list[int]], Query[list[int]]] | None",
) -> None:
    """Change page after page (``None``: only look), then say what became of each id."""
    done: list[int] = []
    missed: list[int] = []
    for page in pages:
        if change is None:
            changed = {job for job in page if database.ask(database.control.show_dead(job))}
        else:
            answer = database.ask(change(page))
            changed = set(answer)
        done += [job for job in page if job in changed]
        missed += [job for job in page if job not in changed]
    rivals = database.ask(database.control.dead_rivals(missed))
    missed = [job for job in missed if job not in rivals]
    if options(ctx).json:
        print_json({"dry_run": change is None, verb: done, "live_again": rivals, "not_dead": missed})
    else:
        would = "would be " if change is None else ""
        jobs = f"{len(done)} job" + ("" if len(done) == 1 else "s")
        say(f"{jobs} {would}{verb}" + (f": {_listed(done)}" if done else ""))
        if rivals:
            twins = _listed(sorted(set(rivals.values())))
            say(f"left dead, because the same job is live again (id {twins}): {_listed(sorted(rivals))}")
        if missed:
            say(f"not dead: {_listed(missed)}")
    if missed or rivals:
        raise typer.Exit(1)


def _listed(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    return shown if len(ids) <= 20 else f"{shown} and {len(ids) - 20} more"  # noqa: PLR2004 - what fits on a line or two
