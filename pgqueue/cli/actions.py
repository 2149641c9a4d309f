"""`pgqueue actions`: who did what, and when."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.jobs import Limit
from pgqueue.cli.output import Column, age, decoded, print_json, record, table
from pgqueue.cli.state import opened, options
from pgqueue.cli.triage import Since, within

if TYPE_CHECKING:
    from pgqueue.queries.actions import ActionRow

group = typer.Typer(help="See who did what: requeue, discard, cancel, pause, … (a bare `pgqueue actions` lists).")

_COLUMNS = (
    Column("ago", right=True),
    Column("by"),
    Column("did"),
    Column("to", grows=True),
    Column("how many", right=True),
    Column("which and why", grows=True),
)


@group.command("list")
def list_actions(
    ctx: typer.Context,
    *,
    verb: Annotated[str | None, typer.Option(metavar="WORD", help="Only this: requeue, discard, pause, …")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only what this person did.")] = None,
    since: Since = None,
    limit: Limit = 50,
) -> None:
    """List what people did, the last first. The record is only added to."""
    from pgqueue.queries.actions import Actions

    with opened(ctx) as database:
        found = database.ask(Actions(database.schema).find(limit=limit, verb=verb, by=by, since=within(since)))
    if options(ctx).json:
        print_json([{**record(one), "filter": decoded(one.filter)} for one in found])
        return
    rows = [(age(one.age_seconds), one.by or "-", one.verb, one.target, one.affected, _which(one)) for one in found]
    table(_COLUMNS, rows, empty="nobody did anything yet")


def _which(one: "ActionRow") -> str:
    shown = "" if one.filter == "{}" else json.dumps(decoded(one.filter), ensure_ascii=False)
    return " ".join(filter(None, (shown, one.reason)))
