"""The root command: global options, and the commands below it."""

from typing import Annotated

import typer

from pgqueue.cli import actions, alerts, breakers, dead, jobs, operate, queues, schedules, sources
from pgqueue.cli.state import URL_VARIABLE, Options

EPILOG = (
    "--database-url, --embedded, --schema and --json may stand before or after any command. "
    "Exit codes: 0 done, 1 faults found or jobs given back, 2 usage, 3 database or schema."
)

app = typer.Typer(
    name="pgqueue",
    help="A job queue on PostgreSQL: migrate it, run workers, see and steer its jobs.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(epilog=EPILOG)
def root(
    ctx: typer.Context,
    *,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar=URL_VARIABLE,
            show_envvar=True,
            help="postgresql://user@host/database, or embedded:",
        ),
    ] = None,
    embedded: Annotated[bool, typer.Option("--embedded", help="Use the built-in server, in .pgqueue/ here.")] = False,
    schema: Annotated[str, typer.Option(envvar="PGQUEUE_SCHEMA", help="The schema of the queue's tables.")] = "pgqueue",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """A job queue on PostgreSQL: migrate it, run workers, see and steer its jobs."""
    ctx.obj = Options(database_url=database_url or None, embedded=embedded, schema=schema, json=json)


app.command()(operate.migrate)
app.command()(operate.work)
app.add_typer(jobs.group, name="jobs")
app.add_typer(dead.group, name="dead")
app.add_typer(queues.group, name="queues")
app.add_typer(schedules.group, name="schedules")
app.command()(queues.workers)
app.add_typer(sources.group, name="sources")
app.add_typer(actions.group, name="actions")
app.add_typer(breakers.group, name="breakers")
app.add_typer(alerts.group, name="alerts")
app.command()(operate.kinds)
app.command()(operate.doctor)
app.command()(operate.bench)
