"""The root command: global options, and the commands below it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pgqueue.cli import actions, alerts, breakers, dead, jobs, limits, operate, queues, run, schedules, sources, workers
from pgqueue.cli import config as config_group
from pgqueue.cli.state import URL_VARIABLE, Options
from pgqueue.configuration import CONFIG_VARIABLE

EPILOG = (
    "--database-url, --embedded, --schema, --config and --json may stand before or after any command. "
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
    schema: Annotated[
        str | None, typer.Option(envvar="PGQUEUE_SCHEMA", help="The schema of the queue's tables. Default: pgqueue.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            envvar=CONFIG_VARIABLE, metavar="FILE", help="The configuration file. Default: found from here upwards."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """A job queue on PostgreSQL: migrate it, run workers, see and steer its jobs."""
    if config:
        _name_file(ctx, config)
    ctx.obj = Options(database_url=database_url or None, embedded=embedded, given_schema=schema or None, json=json)


def _name_file(ctx: typer.Context, config: str) -> None:
    """Let the App's settings and worker processes read this file too."""
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(Path(config).absolute())
    ctx.call_on_close(
        lambda: os.environ.pop(CONFIG_VARIABLE) if before is None else os.environ.update({CONFIG_VARIABLE: before})
    )


app.command()(operate.migrate)
app.command()(run.work)
app.command()(run.supervise)
app.add_typer(jobs.group, name="jobs")
app.add_typer(dead.group, name="dead")
app.add_typer(queues.group, name="queues")
app.add_typer(schedules.group, name="schedules")
app.add_typer(sources.group, name="sources")
app.add_typer(workers.group, name="workers")
app.add_typer(config_group.group, name="config")
app.add_typer(limits.limits, name="limits")
app.add_typer(limits.weights, name="weights")
app.add_typer(actions.group, name="actions")
app.add_typer(breakers.group, name="breakers")
app.add_typer(alerts.group, name="alerts")
app.command()(operate.kinds)
app.command()(operate.doctor)
app.command()(operate.bench)
