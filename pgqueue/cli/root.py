"""The root command: global options, and the commands below it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pgqueue.cli import actions, alerts, breakers, dead, jobs, limits, operate, queues, run, schedules, sources, workers
from pgqueue.cli import config as config_group
from pgqueue.cli.state import URL_VARIABLE, Options
from pgqueue.configuration import CONFIG_VARIABLE
from pgqueue.version import __version__

EPILOG = (
    "--database-url, --embedded, --schema, --config and --json may stand before or after any command. "
    "Exit codes: 0 done, 1 faults found or jobs given back, 2 usage, 3 database or schema, 130 interrupted."
)

app = typer.Typer(
    name="pgqueue",
    help="A job queue on PostgreSQL: migrate it, run workers, see and steer its jobs.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - click calls it so
    if asked:
        typer.echo(f"pgqueue {__version__}")
        raise typer.Exit


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
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_tell_version)
    ] = False,
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


RUN, JOBS, ORDER, CARE = "Run", "Jobs", "What runs when", "Look after it"

app.command(rich_help_panel=RUN)(operate.migrate)
app.command(rich_help_panel=RUN)(run.work)
app.command(rich_help_panel=RUN)(run.supervise)
app.add_typer(workers.group, name="workers", rich_help_panel=RUN)
app.add_typer(config_group.group, name="config", rich_help_panel=RUN)
app.add_typer(sources.group, name="sources", rich_help_panel=RUN)
app.add_typer(jobs.group, name="jobs", rich_help_panel=JOBS)
app.add_typer(dead.group, name="dead", rich_help_panel=JOBS)
app.command(rich_help_panel=JOBS)(operate.kinds)
app.add_typer(queues.group, name="queues", rich_help_panel=ORDER)
app.add_typer(schedules.group, name="schedules", rich_help_panel=ORDER)
app.add_typer(limits.limits, name="limits", rich_help_panel=ORDER)
app.add_typer(limits.weights, name="weights", rich_help_panel=ORDER)
app.command(rich_help_panel=CARE)(operate.doctor)
app.add_typer(alerts.group, name="alerts", rich_help_panel=CARE)
app.add_typer(breakers.group, name="breakers", rich_help_panel=CARE)
app.add_typer(actions.group, name="actions", rich_help_panel=CARE)
app.command(rich_help_panel=CARE)(operate.bench)
