"""`pgqueue dead requeue` and `discard`: by id or by filter, page after page, with a cap, a rate and a dry run."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli import USAGE
from pgqueue.cli.jobs import KEEP_CANCELLED, MAX_ID, Correlation, Kind, Organization, Queue
from pgqueue.cli.output import age, print_json, say
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.cli.triage import Fingerprint, Since, Why, dead_filter
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from pgqueue.cli.database import Database
    from pgqueue.db import Query
    from pgqueue.queries.control_rows import DeadFilter

PAGE = 500  # ids per transaction: short locks, and what is done stays done
_RATE = re.compile(r"^(\d{1,6}(?:\.\d{1,3})?)/(s|m|h)$")
_PER = {"s": 1, "m": 60, "h": 3600}
_SLOWEST = timedelta(days=1)

Ids = Annotated[list[int] | None, typer.Argument(min=1, max=MAX_ID, metavar="[ID...]")]
Every = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which; change nothing.")]
Cap = Annotated[int | None, typer.Option("--limit", min=1, max=10_000_000, help="At most so many, lowest ids first.")]


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
    since: Since = None,
    every: Every = False,
    limit: Cap = None,
    rate: Annotated[
        str | None, typer.Option(metavar="50/s", help="Let them become due so fast (/s, /m or /h). Default: all now.")
    ] = None,
    dry_run: DryRun = False,
    by: By = None,
) -> None:
    """Give dead jobs another life with a fresh budget of attempts: by id, or all that a filter finds."""
    which = dead_filter(queue, kind, organization, correlation, died_of, fingerprint, since)
    spacing = _spacing(rate)
    _require_choice(ids, which, every=every)
    who = by or os_user()
    with opened(ctx) as database:

        def change(page: list[int], ahead: int) -> "Query[list[int]]":
            told = _told(which, ids, every=every, limit=limit, rate=rate)
            return database.control.requeue(page, by=who, spacing=spacing, ahead=ahead, told=told)

        done = _apply(database, _pages(database, ids, which, limit), None if dry_run else change)
    lasts = spacing * max(len(done.changed) - 1, 0)
    over = f", the last one due in {age(lasts.total_seconds())}" if lasts else ""
    _tell(ctx, done, "requeued", over, dry_run=dry_run)


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
    since: Since = None,
    every: Every = False,
    limit: Cap = None,
    dry_run: DryRun = False,
    by: By = None,
) -> None:
    """Let dead jobs go: they end as discarded, with who said so and why."""
    which = dead_filter(queue, kind, organization, correlation, died_of, fingerprint, since)
    _require_choice(ids, which, every=every)
    who = by or os_user()
    with opened(ctx) as database:

        def change(page: list[int], _ahead: int) -> "Query[list[int]]":
            told = _told(which, ids, every=every, limit=limit)
            return database.control.discard_dead(page, reason=reason, by=who, keep=KEEP_CANCELLED, told=told)

        done = _apply(database, _pages(database, ids, which, limit), None if dry_run else change)
    _tell(ctx, done, "discarded", "", dry_run=dry_run)


@dataclass
class _Done:
    """What became of the ids, in their order."""

    changed: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    rivals: dict[int, int] = field(default_factory=dict)
    """Those left dead, each with the live job that is the same."""


def _spacing(rate: str | None) -> timedelta:
    """Read ``50/s``: the time from one job to the next."""
    if rate is None:
        return timedelta()
    match = _RATE.match(rate.strip())
    if match is None or not float(match[1]):
        raise ConfigurationError(f"--rate is {rate!r}; write how many in which time, such as 50/s, 100/m or 20/h")
    spacing = timedelta(seconds=_PER[match[2]] / float(match[1]))
    if spacing > _SLOWEST:
        raise ConfigurationError(f"--rate {rate} is less than one job a day; write a faster one")
    return spacing


def _told(
    which: "DeadFilter", ids: list[int] | None, *, every: bool, limit: int | None = None, rate: str | None = None
) -> Mapping[str, object] | None:
    """Return what the record says of which jobs (None: their ids)."""
    if ids:
        return None
    more = {"all": every or None, "limit": limit, "rate": rate}
    return which.told() | {name: value for name, value in more.items() if value is not None}


def _require_choice(ids: list[int] | None, which: "DeadFilter", *, every: bool) -> None:
    filtered = any(value is not None for value in which)
    if bool(ids) + filtered + every != 1:
        raise ConfigurationError(
            "say which dead letters: ids, or a filter (--queue, --kind, --organization, --correlation, --died-of, "
            "--fingerprint, --since), or --all; one of the three"
        )


def _pages(database: "Database", ids: list[int] | None, which: "DeadFilter", limit: int | None) -> Iterator[list[int]]:
    if ids:
        unique = list(dict.fromkeys(ids))[:limit]
        for start in range(0, len(unique), PAGE):
            yield unique[start : start + PAGE]
        return
    until = database.ask(database.control.now())
    after, left = 0, limit
    while left is None or left > 0:
        most = PAGE if left is None else min(PAGE, left)
        page = database.ask(database.control.dead_ids(which, after=after, until=until, limit=most))
        if not page:
            return
        yield page
        after, left = page[-1], None if left is None else left - len(page)


def _apply(
    database: "Database",
    pages: Iterator[list[int]],
    change: "Callable[[list[int], int], Query[list[int]]] | None",
) -> _Done:
    """Change page after page, each in a transaction of its own with its line in the record (``None``: only look)."""
    done = _Done()
    for page in pages:
        query = database.control.still_dead(page) if change is None else change(page, len(done.changed))
        answer = database.ask(query)
        changed = set(answer)
        done.changed += [job for job in page if job in changed]
        missed = [job for job in page if job not in changed]
        rivals = database.ask(database.control.dead_rivals(missed)) if missed else {}
        done.rivals |= rivals
        done.missed += [job for job in missed if job not in rivals]
    return done


def _tell(ctx: typer.Context, done: _Done, verb: str, over: str, *, dry_run: bool) -> None:
    """Say what became of each id; exit code 1 if one was not dead, or had to stay so; 2 if none was dead."""
    if options(ctx).json:
        print_json({"dry_run": dry_run, verb: done.changed, "live_again": done.rivals, "not_dead": done.missed})
    else:
        would = "would be " if dry_run else ""
        jobs = f"{len(done.changed)} job" + ("" if len(done.changed) == 1 else "s")
        say(f"{jobs} {would}{verb}" + (f": {_listed(done.changed)}" if done.changed else "") + over)
        if done.rivals:
            twins = _listed(sorted(set(done.rivals.values())))
            say(f"left dead, because the same job is live again (id {twins}): {_listed(sorted(done.rivals))}")
        if done.missed:
            say(
                f"not dead (any more): {_listed(done.missed)}; `pgqueue jobs show {done.missed[0]}` says where it is, "
                "`pgqueue actions` who did what"
            )
    if done.missed or done.rivals:
        raise typer.Exit(1 if done.changed or done.rivals else USAGE)


def _listed(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    return shown if len(ids) <= 20 else f"{shown} and {len(ids) - 20} more"  # noqa: PLR2004 - what fits on a line or two
