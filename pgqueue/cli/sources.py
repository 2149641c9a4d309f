"""`pgqueue sources`: databases whose outbox is carried into this queue."""

from typing import Annotated

import typer

from pgqueue.cli.output import Column, print_json, record, say, table
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import PgqueueError

group = typer.Typer(help="Name the databases whose outbox is carried into this queue (a bare `pgqueue sources` lists).")

_COLUMNS = (
    Column("source"),
    Column("number", right=True),
    Column("added", grows=True),
    Column("in flight", right=True),
)


@group.command("list")
def list_sources(ctx: typer.Context) -> None:
    """List the sources, their numbers, and how many of their jobs stand on both sides at this moment."""
    from pgqueue.queries.carry import Carry

    with opened(ctx) as database:
        found = database.ask(Carry(database.schema).source_list())
    if options(ctx).json:
        print_json([record(source) for source in found])
        return
    rows = [(source.name, source.number, f"{source.added_at:%Y-%m-%d %H:%M}", source.in_flight) for source in found]
    table(_COLUMNS, rows, empty="no sources: `pgqueue sources add NAME URL` names one")


@group.command("add")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What workers call it in the setting `sources`.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", envvar="PGQUEUE_SOURCE_URL", help="Its database, migrated with pgqueue.")
    ],
    *,
    by: By = None,
) -> None:
    """Make another database a source: its jobs get ids of a range of their own, and are carried here.

    It must have the queue's tables (pgqueue migrate) and no live jobs. Saying it again changes nothing.
    """
    from contextlib import closing

    import psycopg

    from pgqueue.db import connect, run
    from pgqueue.doctor import stamp
    from pgqueue.queries.carry import Carry

    with opened(ctx) as database, closing(connect(url, name="pgqueue cli")) as source:
        queries = Carry(database.schema)
        stamp.check(source, database.schema)
        number = database.ask(queries.add_source(name, by=by or os_user()))
        try:
            run(source, queries.become_source(name, number))
        except psycopg.Error as error:
            hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
            raise PgqueueError(f"the source refused: {error.diag.message_primary}.{hint}") from error
    if options(ctx).json:
        print_json({"source": name, "number": number})
    else:
        say(f"{name} is source number {number}; name it to the workers: PGQUEUE_SOURCES={name}=URL")
