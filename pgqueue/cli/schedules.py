"""`pgqueue schedules`: what recurs, when it runs next and how it ran last; pause, resume, run, add, remove."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgqueue.cli.jobs import described
from pgqueue.cli.output import Column, age, print_json, record, say, sheet, table, when
from pgqueue.cli.state import APP_VARIABLE, By, app_of, opened, options, os_user
from pgqueue.errors import ConfigurationError
from pgqueue.terminal import neutral

if TYPE_CHECKING:
    from pgqueue.app import App
    from pgqueue.cli.database import Database
    from pgqueue.db import Query
    from pgqueue.queries.schedules import Recurrence, ScheduleRow

group = typer.Typer(help="See what recurs (a bare `pgqueue schedules` lists), steer it, add and remove entries.")

NEXT_RUNS, LAST_RUNS = 5, 5

Name = Annotated[str, typer.Argument(metavar="NAME")]


class Missed(StrEnum):
    """What becomes of runs that no worker was there for."""

    skip = "skip"
    once = "once"
    all = "all"


_COLUMNS = (
    Column("schedule"),
    Column("state"),
    Column("when", grows=True),
    Column("kind", grows=True),
    Column("next"),
    Column("last"),
    Column("job", right=True),
    Column("outcome"),
    Column("missed", right=True),
)


@group.command("list")
def list_schedules(ctx: typer.Context) -> None:
    """List all entries: when each runs next, how it ran last, how many runs were missed."""
    with opened(ctx) as database:
        found = database.ask(_queries(database).all())
    if options(ctx).json:
        print_json([_record(row) for row in found])
        return
    rows = [
        (
            row.name,
            row.state,
            _when(row),
            row.kind,
            _in(row),
            _ago(row),
            row.last_job_id,
            row.last_outcome,
            row.missed_runs or "",
        )
        for row in found
    ]
    table(
        _COLUMNS, rows, empty="no schedules: name them in App(schedules=[…]), or add one with `pgqueue schedules add`"
    )


@group.command("show")
def show_schedule(ctx: typer.Context, name: Name) -> None:
    """Show an entry: its next five runs in its time zone and in UTC, its last runs and their outcomes."""
    with opened(ctx) as database:
        row = _one(database, name)
        runs = database.ask(_queries(database).runs(row.name, limit=LAST_RUNS))
    coming, unreadable = _next_runs(row)
    if options(ctx).json:
        told = [{"utc": run.astimezone(UTC), "local": run.isoformat()} for run in coming]
        print_json(
            _record(row) | {"next_runs": told, "unreadable": unreadable, "last_runs": [record(run) for run in runs]}
        )
        return
    kept = {name: value for name, value in row._asdict().items() if name != "now" and not name.startswith("last_")}
    shown = described(kept)
    shown["next runs"] = unreadable or "\n".join(f"{run:%a %Y-%m-%d %H:%M:%S %Z}  =  {when(run)}" for run in coming)
    shown["last runs"] = "\n".join(
        f"{when(run.tick)}  job {run.job_id}  {run.outcome or 'unknown'}"
        + ("" if run.asked_by is None else f"  (asked for by {run.asked_by or 'somebody'})")
        for run in runs
    )
    sheet(shown)


@group.command("pause")
def pause(ctx: typer.Context, name: Name, *, by: By = None) -> None:
    """Let an entry make no jobs until it is resumed; what it does not run meanwhile is not missed."""
    with opened(ctx) as database:
        _do(database, name, _queries(database).pause(name, by=by or os_user()))
    _tell(ctx, {"schedule": name, "state": "paused"}, f"schedule {name} is paused; `pgqueue schedules resume {name}`")


@group.command("resume")
def resume(ctx: typer.Context, name: Name, *, by: By = None) -> None:
    """Go on with the first run from now."""
    with opened(ctx) as database:
        _do(database, name, _queries(database).resume(name, by=by or os_user()))
    _tell(ctx, {"schedule": name, "state": "active"}, f"schedule {name} goes on")


@group.command("run")
def run_now(ctx: typer.Context, name: Name, *, by: By = None) -> None:
    """Enqueue an entry's job now, beside its ticks; a paused entry runs as well."""
    with opened(ctx) as database:
        job = _do(database, name, _queries(database).run(name, by=by or os_user()))
    _tell(ctx, {"schedule": name, "job_id": job}, f"job {job} of schedule {name}; `pgqueue jobs show {job}`")


@group.command("remove")
def remove(ctx: typer.Context, name: Name, *, by: By = None) -> None:
    """Remove an entry that was added at run time, or that has left the code of all workers."""
    with opened(ctx) as database:
        _do(database, name, _queries(database).remove(name, by=by or os_user()))
    _tell(ctx, {"schedule": name, "state": "removed"}, f"schedule {name} is removed")


@group.command("add")
def add(  # noqa: PLR0913 - one option for each property of an entry
    ctx: typer.Context,
    name: Name,
    *,
    kind: Annotated[str, typer.Option(help="The kind of job, as the App names it.")],
    app: Annotated[
        str | None, typer.Option("--app", envvar=APP_VARIABLE, help="The App whose class checks --args. Needed.")
    ] = None,
    args: Annotated[str, typer.Option(help="Its arguments, as a JSON object.")] = "{}",
    cron: Annotated[str | None, typer.Option(help='Such as "30 2 * * *"; six fields begin with the second.')] = None,
    every: Annotated[str | None, typer.Option(help="Instead of --cron: 10s, 5m, 12h, 1d.")] = None,
    time_zone: Annotated[str, typer.Option(help="Of --cron: a name of the IANA database.")] = "UTC",
    missed: Annotated[Missed, typer.Option(help="Missed runs: none, one for all, or each.")] = Missed.once,
    most: Annotated[int, typer.Option(min=1, max=1000, help="With --missed all: the latest so many.")] = 100,
    jitter: Annotated[str, typer.Option(help="Spread starts over so much time behind each tick.")] = "0s",
    max_attempts: Annotated[int | None, typer.Option(min=1, max=100, help="Default: as the class says.")] = None,
    organization: Annotated[str | None, typer.Option(help="Whose jobs; default: the App's settings.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose jobs; default: the App's settings.")] = None,
    change: Annotated[bool, typer.Option("--change", help="Put it in the place of an entry added before.")] = False,
    by: By = None,
) -> None:
    """Add an entry at run time; every worker fires it.

    It needs --app: the job's class says queue, retries and the rest of its row, and refuses arguments that do not fit,
    now and not at the first tick. The database knows no classes.
    """
    from pgqueue.schedule import Schedule, entry_of, refused, taken

    application = app_of(app)
    schedule = Schedule(
        name,
        _job(application, kind, args),
        cron=cron,
        every=every,
        time_zone=time_zone,
        missed=missed.value,
        most=most,
        jitter=jitter,
        max_attempts=max_attempts,
        context=_context(organization, user),
    )
    entry = entry_of(schedule, application.queue)
    with opened(ctx) as database:
        queries, who = _queries(database), by or os_user()
        changed = database.ask(queries.change(entry, by=who)) if change else True
        if changed is None:
            raise refused(name, database.ask(queries.names()))
        if not change and not database.ask(queries.add(entry, by=who)):
            raise taken(name)
    verb = "added" if not change else "changed" if changed else "unchanged"
    line = f"is {verb}" if changed else "is so already: nothing changed"
    _tell(ctx, {"schedule": name, "state": verb}, f"schedule {name} {line}; `pgqueue schedules show {name}`")


def _job(app: "App", kind: str, args: str) -> Any:
    from pydantic import ValidationError

    from pgqueue.app import kind_of

    job = kind_of(app, kind)
    try:
        fields = json.loads(args)
        if not isinstance(fields, dict):
            raise ConfigurationError(f'--args is {args[:80]!r}; write a JSON object, such as {{"days": 30}}')
        return job.model_validate_json(args)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--args is no JSON: {error}; write an object, such as '{{\"days\": 30}}'") from None
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or kind}: {one['msg']}" for one in error.errors(include_url=False)
        )
        raise ConfigurationError(f"--args does not fit {kind}: {told}") from None


def _context(organization: str | None, user: str | None) -> Any:
    if organization is None and user is None:
        return None
    from pgqueue.context import Context

    return Context(organization or "", user or "")


def _queries(database: "Database") -> "Recurrence":
    from pgqueue.queries.schedules import Recurrence

    return Recurrence(database.schema)


def _one(database: "Database", name: str) -> "ScheduleRow":
    from pgqueue.schedule import known_name, refused

    found = database.ask(_queries(database).all(known_name(name)))
    if not found:
        raise refused(name, database.ask(_queries(database).names()))
    return found[0]


def _do(database: "Database", name: str, query: "Query[Any]") -> Any:
    from pgqueue.schedule import known_name, refused

    known_name(name)
    result = database.ask(query)
    if not result:
        raise refused(name, database.ask(_queries(database).names()))
    return result


def _next_runs(row: "ScheduleRow") -> tuple[list[datetime], str | None]:
    """Return the next runs in the entry's zone, or why they cannot be worked out here."""
    from pgqueue.timing import timing, zone

    if row.state != "active":
        return [], None
    runs: list[datetime] = []
    try:
        local = zone(row.time_zone)
        every = None if row.every_seconds is None else timedelta(seconds=row.every_seconds)
        plan = timing(row.cron, every, row.time_zone)
        moment = max(row.now, (row.next_run_at or row.changed_at) - timedelta(microseconds=1))
        while len(runs) < NEXT_RUNS:
            moment = plan.after(moment)
            runs.append(moment.astimezone(local))
    except ConfigurationError as error:
        return [], str(error)
    return runs, None


def _record(row: "ScheduleRow") -> dict[str, Any]:
    fields = record(row)
    del fields["now"]
    return fields


def _when(row: "ScheduleRow") -> str:
    if row.cron is None:
        return f"every {_length(row.every_seconds or 0)}"
    return f"{row.cron} {row.time_zone}"


def _length(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % unit == 0:
            return f"{seconds / unit:g}{name}"
    return f"{seconds:g}s"


def _in(row: "ScheduleRow") -> str:
    if row.state != "active":
        return ""
    if row.next_run_at is None:
        return "not planned yet"
    return age((row.now - row.next_run_at).total_seconds()) if row.next_run_at > row.now else "due"


def _ago(row: "ScheduleRow") -> str:
    return f"{age((row.now - row.last_run_at).total_seconds())} ago" if row.last_run_at else ""


def _tell(ctx: typer.Context, fields: dict[str, Any], line: str) -> None:
    if options(ctx).json:
        print_json(fields)
    else:
        say(neutral(line))
