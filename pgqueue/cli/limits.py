"""`pgqueue limits` and `pgqueue weights`: how much may run at once, and whose share is how large."""

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.output import Column, print_json, record, say, table, when
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError
from pgqueue.terminal import neutral

if TYPE_CHECKING:
    from pgqueue.limit import Rate

limits = typer.Typer(help="See which keys are full (a bare `pgqueue limits` lists), change limits at run time.")
weights = typer.Typer(help="See and set the shares of organizations in fair queues (a bare `pgqueue weights` lists).")

_MOST_WEIGHT, _MOST_RUNNING = 1000, 1_000_000
_LONGEST_NAME, _LONGEST_ORGANIZATION = 300, 64
_SHOWN = 20
_RECALLED = re.compile(r"^(queue|kind):")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Kind.key for all keys of a limit, Kind.key=value for one, kind:Kind, or queue:name.",
    ),
]
Organization = Annotated[str, typer.Argument(metavar="ORGANIZATION")]

_LIMIT_COLUMNS = (
    Column("key", grows=True),
    Column("running", right=True),
    Column("rate"),
    Column("taken", right=True),
    Column("held", right=True),
    Column("set by"),
    Column("set at"),
)
_WEIGHT_COLUMNS = (Column("organization", grows=True), Column("weight", right=True), Column("set by"), Column("set at"))


@limits.command("list")
def list_limits(ctx: typer.Context) -> None:
    """List the keys that jobs count against: how many may run, have a permit, and wait for one."""
    with opened(ctx) as database:
        found = database.ask(database.limits.limit_list())
    if options(ctx).json:
        print_json([record(limit) for limit in found])
        return
    rows = [
        (row.key, row.running or "-", row.rate or "-", row.taken, row.held, row.set_by, when(row.set_at))
        for row in found
    ]
    table(_LIMIT_COLUMNS, rows, empty="nothing is limited now, and no limit was set at run time")


@limits.command("set")
def set_limit(
    ctx: typer.Context,
    name: Name,
    *,
    running: Annotated[int | None, typer.Option("--running", help="How many may run at once.")] = None,
    count: Annotated[int | None, typer.Option("--count", help="For rate:NAME: how many may start …")] = None,
    per: Annotated[str | None, typer.Option("--per", help="… in such a time, as 1m.")] = None,
    burst: Annotated[int | None, typer.Option("--burst", help="How many may start at once.")] = None,
    by: By = None,
) -> None:
    """Let so many run at once, or start in a time, over what the job classes say; what already runs may end."""
    _check_name(name)
    rate = _rate(name, count, per, burst) if name.startswith("rate:") else None
    if rate is None and (running is None or not 1 <= running <= _MOST_RUNNING):
        raise ConfigurationError(
            f"--running is {running}; give 1 to {_MOST_RUNNING:,} (to let nothing run: pgqueue queues pause)"
        )
    if rate and running is not None:
        raise ConfigurationError("a rate has no --running; give --count and --per")
    with opened(ctx) as database:
        spec = None if rate is None else rate.spec
        database.ask(database.limits.set_limit(name, running=running, rate=spec, by=by or os_user()))
        known = database.ask(database.limits.names())
        while _RECALLED.match(name) and database.ask(database.limits.recall(name)):
            pass
    if warning := _unused(name, known):
        sys.stderr.write(f"pgqueue: {neutral(warning)}\n")
    allowed = f"{running} at once" if rate is None else f"{rate.count} per {per}, {rate.burst} at once"
    _tell(ctx, {"name": name, "running": running, "rate": spec}, f"{name}: at most {allowed}")


@limits.command("unset")
def unset_limit(ctx: typer.Context, name: Name, *, by: By = None) -> None:
    """Forget what was set at run time: the job classes decide again."""
    with opened(ctx) as database:
        if not database.ask(database.limits.unset_limit(name, by=by or os_user())):
            raise ConfigurationError(f"no limit {name!r} was set at run time; `pgqueue limits` lists them")
    _tell(ctx, {"name": name, "running": None}, f"{name}: the job classes decide")


@weights.command("list")
def list_weights(ctx: typer.Context) -> None:
    """List the organizations whose share is not 1."""
    with opened(ctx) as database:
        found = database.ask(database.limits.weight_list())
    if options(ctx).json:
        print_json([record(weight) for weight in found])
        return
    rows = [(row.organization_id, row.weight, row.set_by, when(row.set_at)) for row in found]
    table(_WEIGHT_COLUMNS, rows, empty="every organization has the weight 1")


@weights.command("set")
def set_weight(ctx: typer.Context, organization: Organization, weight: int, *, by: By = None) -> None:
    """Give an organization a larger share of every fair queue than the 1 of all others."""
    if not 1 <= weight <= _MOST_WEIGHT:
        raise ConfigurationError(f"the weight is {weight}; give 1 to {_MOST_WEIGHT} (the others have 1)")
    if not 1 <= len(organization) <= _LONGEST_ORGANIZATION:
        raise ConfigurationError(f"an organization's id has 1 to {_LONGEST_ORGANIZATION} characters")
    with opened(ctx) as database:
        database.ask(database.limits.set_weight(organization, weight, by=by or os_user()))
    _tell(ctx, {"organization_id": organization, "weight": weight}, f"{organization} has the weight {weight}")


@weights.command("unset")
def unset_weight(ctx: typer.Context, organization: Organization, *, by: By = None) -> None:
    """Give an organization the share that all others have."""
    with opened(ctx) as database:
        if not database.ask(database.limits.unset_weight(organization, by=by or os_user())):
            raise ConfigurationError(f"{organization!r} has no weight of its own; `pgqueue weights` lists them")
    _tell(ctx, {"organization_id": organization, "weight": 1}, f"{organization} has the weight 1")


def _rate(name: str, count: int | None, per: str | None, burst: int | None) -> "Rate":
    if count is None or per is None:
        raise ConfigurationError(f"{name} is a rate; give --count and --per, such as --count 60 --per 1m")
    from pgqueue.limit import Rate

    return Rate(count=count, per=per, burst=burst)


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= _LONGEST_NAME or not name.partition("=")[0].isprintable():
        raise ConfigurationError(
            f"the name of a limit has 1 to {_LONGEST_NAME} printable characters, this one has {len(name):,} (behind "
            "the = any may stand); `pgqueue limits` lists the keys in use"
        )


def _unused(name: str, known: list[str]) -> str | None:
    """Say that nothing counts against the name. It is no error: the kind may come with the next deploy."""
    base = name.partition("=")[0]
    kind = base.removeprefix("rate:").partition(".")[0]
    family = base.partition(":")[0] if _RECALLED.match(base) else ""
    if base in known or (not family and f"kind:{kind}" in known):
        return None
    in_use = [one for one in known if (one.partition(":")[0] if _RECALLED.match(one) else "") in {family, "kind"}]
    shown = ", ".join(in_use[:_SHOWN]) + (f" and {len(in_use) - _SHOWN} more" if len(in_use) > _SHOWN else "")
    return f"warning: nothing counts against {base!r} now, no job and no kind of a worker; known: {shown or 'nothing'}"


def _tell(ctx: typer.Context, fields: dict[str, object], line: str) -> None:
    if options(ctx).json:
        print_json(fields)
    else:
        say(line)
