"""Commands that set up and check: migrate, kinds, doctor, bench."""

from typing import Annotated

import typer

from pgqueue.cli.output import Column, age, print_json, say, sheet, table
from pgqueue.cli.state import APP_VARIABLE, app_of, opened, options
from pgqueue.errors import ConfigurationError

AppPath = Annotated[
    str | None,
    typer.Option(
        "--app", envvar=APP_VARIABLE, metavar="MODULE:ATTRIBUTE", help="The App, or a function that makes it."
    ),
]


def migrate(
    ctx: typer.Context,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if a migration is missing.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for an empty database; needs none.")] = False,
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Drop the queue's tables with every job in them.")
    ] = False,
) -> None:
    """Create or upgrade the queue's tables."""
    from pgqueue import migrate as migrations

    chosen = options(ctx)
    if check + sql + downgrade > 1:
        raise ConfigurationError("--check, --sql and --downgrade exclude each other; give one")
    if sql:
        script = migrations.script(chosen.schema)
        if chosen.json:
            print_json({"sql": script})
        else:
            typer.echo(script, nl=False)
        return
    url = chosen.url()
    missing = migrations.pending(url, chosen.schema)
    if downgrade:
        migrations.downgrade(url, chosen.schema)
        result, line = "downgraded", f"the tables of the queue in schema {chosen.schema} are dropped"
    elif check:
        result = "pending" if missing else "current"
        way = "run `pgqueue migrate` (or `alembic upgrade heads`, where your own Alembic has the tables)"
        line = f"missing: {', '.join(missing)}; {way}" if missing else "up to date"
    else:
        migrations.upgrade(url, chosen.schema)
        result = "upgraded" if missing else "current"
        line = f"applied: {', '.join(missing)}" if missing else "up to date"
    if chosen.json:
        print_json({"result": result, "schema": chosen.schema, "revisions": [] if downgrade else missing})
    else:
        say(line)
    if check and missing:
        raise typer.Exit(1)


def kinds(ctx: typer.Context, *, app: AppPath = None) -> None:
    """List the kinds of jobs that an App knows, with their policies. Needs no database."""
    described = app_of(app).describe()
    if options(ctx).json:
        print_json(described)
        return
    columns = (
        Column("kind"),
        Column("queue"),
        Column("timeout", right=True),
        Column("attempts", right=True),
        Column("backoff"),
        Column("use case", grows=True),
        Column("dispatched by", grows=True),
        Column("idempotency"),
    )
    rows = [
        (
            kind["kind"],
            kind["queue"],
            age(kind["timeout_seconds"]),
            kind["max_attempts"],
            ", ".join(age(seconds) for seconds in kind["backoff_seconds"]),
            kind["use_case"],
            ", ".join(kind["dispatched_by"]),
            kind["idempotency"],
        )
        for kind in described
    ]
    table(columns, rows, empty="no kinds")


def doctor(
    ctx: typer.Context,
    *,
    app: AppPath = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Leave out findings with this code (may be repeated).")
    ] = None,
) -> None:
    """Look for what is wrong or will be: each finding says what it means and what to do. Exit code 1: faults."""
    from pgqueue.doctor import examine

    known = sorted(app_of(app).kinds) if app else None
    with opened(ctx, check=False) as database:
        findings = [
            one
            for one in examine(database.conn, options(ctx).schema, options(ctx).url(), kinds=known)
            if one.code not in (ignore or [])
        ]
    faults = sum(one.severity == "fault" for one in findings)
    if options(ctx).json:
        print_json({"faults": faults, "findings": [one.as_dict() for one in findings]})
    elif findings:
        for one in findings:
            say(f"{one.severity.upper()}: {one.title}")
            sheet({"  means": one.meaning, "  do": one.advice, "  code": one.code})
            say("")
        say(f"{faults} fault(s), {len(findings) - faults} other finding(s)")
    else:
        say("nothing found: the queue is well")
    if faults:
        raise typer.Exit(1)


def bench(
    ctx: typer.Context,
    *,
    jobs: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many jobs to run.")] = 50_000,
) -> None:
    """Measure enqueue, relay, drain and latency on this database, in a schema of its own."""
    from pgqueue.bench import run

    chosen = options(ctx)
    raise typer.Exit(run(chosen.url(), jobs=jobs, json=chosen.json, schema=chosen.schema))
