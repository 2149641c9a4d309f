"""`pgqueue sources`: databases whose outbox is carried into this queue."""

from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.output import Column, print_json, record, say, table
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError, PgqueueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.cli.database import Database

group = typer.Typer(help="Name the databases whose outbox is carried into this queue (a bare `pgqueue sources` lists).")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What workers call it in the setting `sources`.")]
Url = Annotated[
    str, typer.Argument(metavar="URL", envvar="PGQUEUE_SOURCE_URL", help="Its database, migrated with pgqueue.")
]

_TERM = timedelta(seconds=3)  # a removal that dies costs the carriers at most this long
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
    name: Name,
    url: Url,
    *,
    by: By = None,
) -> None:
    """Make another database a source: its jobs get ids of a range of their own, and are carried here.

    It must have the queue's tables (pgqueue migrate) and no live jobs. Saying it again changes nothing.
    """
    from pgqueue.db import connect, run
    from pgqueue.doctor import stamp
    from pgqueue.queries.carry import Carry

    with opened(ctx) as database, closing(connect(url, name="pgqueue cli")) as source:
        queries = Carry(database.schema)
        stamp.check(source, database.schema)
        number = database.ask(queries.add_source(name, by=by or os_user()))
        with _refusing():
            run(source, queries.become_source(name, number))
    if options(ctx).json:
        print_json({"source": name, "number": number})
    else:
        say(f"{name} is source number {number}; name it to the workers: PGQUEUE_SOURCES={name}=URL")


@group.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    url: Url,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also if jobs wait in its outbox: workers of its own run them.")
    ] = False,
    by: By = None,
) -> None:
    """Let a database be a source no longer: it is a queue of its own again.

    Take it out of the workers' setting `sources` first. What was carried is never run a second time, there or here.
    """
    from pgqueue.db import connect, run
    from pgqueue.doctor import stamp
    from pgqueue.queries.carry import Carry

    with opened(ctx) as database, closing(connect(url, name="pgqueue cli")) as source:
        queries = Carry(database.schema)
        _check_known(name, database)
        stamp.check(source, database.schema)
        with _carrying(name, database) as turn:
            carried = database.ask(queries.ledger(name))
            run(source, queries.taken(carried))
            # in this order: a database that is listed and is no source any more can be removed again
            with _refusing(), database.conn.transaction():
                number = run(database.conn, queries.remove_source(name, token=turn, by=by or os_user()))
                if number is None:
                    raise _busy(name)
                left = run(source, queries.leave_source(name, anyway=force))
    if options(ctx).json:
        print_json({"source": name, "number": number, "left": left})
    else:
        kept = f"; {left} jobs wait in its outbox for workers of its own" if left else ""
        say(f"{name} is no source any more{kept}")


@contextmanager
def _carrying(name: str, database: "Database") -> "Iterator[int]":
    """Be the one that carries from a source; whoever is refused lets the others go on."""
    from pgqueue.queries.carry import Carry
    from pgqueue.queries.upkeep import Upkeep

    answer = database.ask(Carry(database.schema).carry(name, token=None, term=_TERM))
    if answer["turn"] is None:
        raise _busy(name)
    try:
        yield answer["turn"]
    except BaseException:
        database.ask(Upkeep(database.schema).leave_turn(answer["role"], answer["turn"]))
        raise


@contextmanager
def _refusing() -> "Iterator[None]":
    """Say what the source says."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
        raise PgqueueError(f"the source refused: {error.diag.message_primary}.{hint}") from error


def _check_known(name: str, database: "Database") -> None:
    from pgqueue.queries.carry import Carry

    names = [source.name for source in database.ask(Carry(database.schema).source_list())]
    if name not in names:
        raise ConfigurationError(f"unknown source {name!r}; known: {', '.join(names) or 'none'}")


def _busy(name: str) -> PgqueueError:
    return PgqueueError(
        f"a worker carries from {name}; take it out of the workers' setting `sources` (PGQUEUE_SOURCES), restart them "
        "and say it again"
    )
