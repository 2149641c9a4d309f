"""`pgqueue breakers`: which dependencies are cut off, and the switch."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.jobs import Limit, described
from pgqueue.cli.output import Column, age, print_json, record, say, sheet, table
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from pgqueue.cli.database import Database
    from pgqueue.queries.breakers import BreakerQueries, BreakerRow

group = typer.Typer(help="See circuit breakers (a bare `pgqueue breakers` lists), open, close and reset them.")

Dependency = Annotated[str, typer.Argument(metavar="DEPENDENCY")]
Host = Annotated[str, typer.Argument(metavar="[HOST]")]

_COLUMNS = (
    Column("dependency"),
    Column("host", grows=True),
    Column("state"),
    Column("failures", right=True),
    Column("open for", right=True),
    Column("tries again", right=True),
    Column("by"),
    Column("last error", grows=True),
)
_STATES = {"half_open": "probing"}


@group.command("list")
def list_breakers(ctx: typer.Context, *, limit: Limit = 100) -> None:
    """List the breakers that ever failed, those that are not closed first."""
    with opened(ctx) as database:
        found = database.ask(_queries(database).find(limit=limit))
    if options(ctx).json:
        print_json([record(one) for one in found])
        return
    rows = [
        (
            one.dependency,
            one.host,
            _STATES.get(one.state, one.state),
            one.failures,
            age(one.open_seconds),
            _again(one),
            one.changed_by,
            one.last_error,
        )
        for one in found
    ]
    table(_COLUMNS, rows, empty="no breaker has failed yet")


def _again(one: "BreakerRow") -> str:
    if one.state != "open":
        return ""
    if one.left_seconds is None:
        return "when closed"
    return age(-one.left_seconds) if one.left_seconds > 0 else "now"


@group.command("show")
def show(ctx: typer.Context, dependency: Dependency, host: Host = "") -> None:
    """Show everything about one breaker."""
    with opened(ctx) as database:
        found = database.ask(_queries(database).find(dependency=dependency, host=host))
    if not found:
        raise _unknown(dependency, host)
    if options(ctx).json:
        print_json(record(found[0]))
    else:
        sheet(described(found[0]._asdict()))


@group.command("open")
def open_breaker(
    ctx: typer.Context,
    dependency: Dependency,
    host: Host = "",
    *,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="10m", help="How long. Default: until somebody closes it.")
    ] = None,
    by: By = None,
) -> None:
    """Cut a dependency off: nothing is sent, jobs that would call it wait without spending an attempt."""
    from pgqueue.duration import duration

    length = None if lasts is None else duration(lasts, what="--for")
    name = _checked(dependency, host)
    with opened(ctx) as database:
        database.ask(_queries(database).open(name, lasts=length, by=by or os_user()))
    _tell(ctx, name, "open")


@group.command("close")
def close_breaker(ctx: typer.Context, dependency: Dependency, host: Host = "", *, by: By = None) -> None:
    """Let calls through again, with no failures counted."""
    name = _checked(dependency, host)
    with opened(ctx) as database:
        _change(ctx, database, name, "closed", close=True, by=by)


@group.command("reset")
def reset_breaker(ctx: typer.Context, dependency: Dependency, host: Host = "", *, by: By = None) -> None:
    """Forget a breaker: closed, no failures, no longer listed."""
    name = _checked(dependency, host)
    with opened(ctx) as database:
        _change(ctx, database, name, "reset", close=False, by=by)


def _change(
    ctx: typer.Context, database: "Database", name: tuple[str, str], state: str, *, close: bool, by: str | None
) -> None:
    queries, who = _queries(database), by or os_user()
    if database.ask(queries.close(name, by=who) if close else queries.reset(name, by=who)):
        _tell(ctx, name, state)
    else:
        raise _unknown(*name)


def _queries(database: "Database") -> "BreakerQueries":
    from pgqueue.queries.breakers import BreakerQueries

    return BreakerQueries(database.schema)


def _checked(dependency: str, host: str) -> tuple[str, str]:
    if not 1 <= len(dependency) <= 200 or len(host) > 300 or "\x00" in dependency + host:  # noqa: PLR2004 - as the table says
        raise ConfigurationError("a dependency has 1 to 200 characters, a host up to 300")
    return dependency, host


def _tell(ctx: typer.Context, name: tuple[str, str], state: str) -> None:
    if options(ctx).json:
        print_json({"dependency": name[0], "host": name[1], "state": state})
    else:
        say(f"breaker {' '.join(filter(None, name))} is {state}; every process knows within a second or two")


def _unknown(dependency: str, host: str) -> ConfigurationError:
    name = " ".join(filter(None, (dependency, host)))
    return ConfigurationError(f"no breaker {name!r} has failed yet; `pgqueue breakers` lists those that have")
