"""`pgqueue config`: which settings hold, where each comes from, and what is wrong with them."""

import os
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from pgqueue.cli.operate import AppPath
from pgqueue.cli.output import Column, print_json, say, table, when
from pgqueue.cli.state import app_of, opened, options
from pgqueue.configuration import CONFIG_VARIABLE, suggestion
from pgqueue.errors import InvalidSettings

if TYPE_CHECKING:
    from pgqueue.configuration import Key
    from pgqueue.queries.supervision import Override
    from pgqueue.settings import Settings

group = typer.Typer(help="See and check the settings: file, environment, code, run time.", no_args_is_help=True)

# Read by the command line and by workers, and no settings.
_OTHERS = ("PGQUEUE_APP", CONFIG_VARIABLE, "PGQUEUE_LINE")
_NEAR = 0.75


@group.command("show")
def show(ctx: typer.Context, *, app: AppPath = None) -> None:
    """Print every setting that holds and where it comes from. With --app what the code says is known, too."""
    settings = _settings(ctx, app)
    rows = [
        {"setting": ".".join(key), "value": value, "source": settings.source_of(key), "set_by": None, "set_at": None}
        for key, value in _values(settings)
    ]
    for override in _overrides(ctx, settings):
        name = {"queues": f"queues.{override.name}.workers", "supervise": "supervise.max_processes"}[override.table]
        row = next((one for one in rows if one["setting"] == name), None)
        if row is None:
            row = {"setting": name}
            rows.append(row)
        if row.get("source") != "flag":
            row |= {"value": override.value, "source": "run time", "set_by": override.set_by, "set_at": override.set_at}
    if options(ctx).json:
        print_json({"file": str(settings.file) if settings.file else None, "settings": rows})
        return
    columns = (Column("setting"), Column("value", grows=True), Column("source", grows=True))
    table(columns, [(row["setting"], _text(row["value"]), _source(row)) for row in rows], empty="")


@group.command("check")
def check(ctx: typer.Context, *, app: AppPath = None) -> None:
    """Check file, environment and (with --app) code. Exit code 1: faults, each on a line of its own."""
    faults: list[str] = []
    try:
        settings = _settings(ctx, app)
    except InvalidSettings as error:
        faults = list(error.faults)
    faults += _misspelt(os.environ)
    if options(ctx).json:
        print_json({"faults": faults})
    else:
        for fault in faults:
            say(fault)
        say(f"{len(faults)} fault(s)" if faults else f"well; file: {settings.file or 'none'}")
    if faults:
        raise typer.Exit(1)


def _settings(ctx: typer.Context, app: str | None) -> "Settings":
    from pgqueue.settings import Settings

    chosen = options(ctx)
    flags = {
        "database_url": "embedded:" if chosen.embedded else chosen.database_url,
        "schema_name": chosen.given_schema,
    }
    given = {name: value for name, value in flags.items() if value and os.environ.get(_variable(name)) != value}
    return app_of(app).settings.changed(**given) if app else Settings(flags=given)


def _variable(name: str) -> str:
    from pgqueue.settings import ENVIRONMENT

    return next(variable for variable, setting in ENVIRONMENT.items() if setting == name)


def _values(settings: "Settings") -> "list[tuple[Key, object]]":
    """Return every setting with the way to it; an address without its password."""
    found: list[tuple[Key, object]] = []

    def walk(model: Any, above: "Key") -> None:
        for name in type(model).model_fields:
            value, key = getattr(model, name), (*above, name)
            if hasattr(value, "model_fields_set"):
                walk(value, key)
            elif name == "queues":
                for queue, one in value.items():
                    walk(one, (*key, queue))
            else:
                found.append((key, _plain(name, value)))

    walk(settings, ())
    return found


def _plain(name: str, value: object) -> object:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if name == "database_url" and isinstance(value, str):
        return _without_password(value)
    return value if value is None or isinstance(value, (str, int, float, tuple)) else str(value)


def _without_password(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    with suppress(ArgumentError, ValueError):
        found = make_url(url)
        query = {name: "***" if "pass" in name else value for name, value in found.query.items()}
        return found.set(query=query).render_as_string(hide_password=True)
    return "embedded:" if url.startswith("embedded:") else "***"


def _overrides(ctx: typer.Context, settings: "Settings") -> "list[Override]":
    """Return what was set at run time, if there is a database to ask."""
    if not settings.database_url:
        return []
    with opened(ctx) as database:
        return database.ask(database.supervision.overrides())


def _misspelt(environment: "os._Environ[str]") -> list[str]:
    """Find variables that nobody reads and whose name is nearly one that is read."""
    from difflib import SequenceMatcher

    from pgqueue.settings import ENVIRONMENT

    known = [*ENVIRONMENT, *_OTHERS]
    return [
        f"{name}: nobody reads this variable; {suggestion(name.removeprefix('PGQUEUE_'), near)}"
        for name in sorted(environment)
        if name.startswith("PGQUEUE_") and name not in known
        if (
            near := [
                one
                for one in known
                if SequenceMatcher(None, one.removeprefix("PGQUEUE_"), name.removeprefix("PGQUEUE_")).ratio() >= _NEAR
            ]
        )
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " | ".join(", ".join(group) for group in value)
    return "none" if value is None else str(value)


def _source(row: dict[str, Any]) -> str:
    by = f" (by {row['set_by']}, {when(row['set_at'])})" if row.get("set_by") else ""
    return f"{row['source']}{by}"
