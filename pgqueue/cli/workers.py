"""`pgqueue workers`: who works, and how to replace, quieten or multiply worker processes from any machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.output import Column, age, print_json, record, say, table
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from uuid import UUID

    from pgqueue.queries.control_rows import WorkerRow

group = typer.Typer(help="See the worker processes (a bare `pgqueue workers` lists), restart, drain and scale them.")

_WORKER_COLUMNS = (
    Column("worker"),
    Column("state"),
    Column("host", grows=True),
    Column("pid", right=True),
    Column("version"),
    Column("running", right=True),
    Column("slots", right=True),
    Column("up", right=True),
    Column("heard of", right=True),
    Column("queues", grows=True),
)


@group.command("list")
def list_workers(ctx: typer.Context) -> None:
    """List the worker processes: what they serve, how busy they are, when they were last heard of."""
    from pgqueue.cli.database import SILENT

    with opened(ctx) as database:
        found = database.ask(database.control.worker_list(silent=SILENT))
    if options(ctx).json:
        print_json([record(worker) for worker in found])
        return
    rows = [
        (
            str(worker.id)[:8],
            _state(worker),
            worker.host,
            worker.pid,
            worker.version,
            worker.running,
            worker.concurrency,
            age(worker.age_seconds),
            f"{age(max(worker.heartbeat_age_seconds, 0))} ago",
            ", ".join(worker.queues),
        )
        for worker in found
    ]
    table(_WORKER_COLUMNS, rows, empty="no workers: start one with `pgqueue work --app module:attribute`")


def _state(worker: "WorkerRow") -> str:
    if worker.silent:
        return "silent"
    if worker.asked == "restart":
        return "to restart"
    return "draining" if worker.draining else "alive"


@group.command("restart")
def restart(
    ctx: typer.Context,
    worker: Annotated[
        str | None, typer.Argument(metavar="[WORKER]", help="One worker, by the beginning of its id. Default: all.")
    ] = None,
    *,
    queue: Annotated[str | None, typer.Option("--queue", help="Only workers that serve this queue.")] = None,
    by: By = None,
) -> None:
    """Replace worker processes, one after the other on each host; no job is given back or loses an attempt.

    A supervised process is replaced by a new one first. One without a supervisor ends its jobs and goes: what started
    it starts it again.
    """
    asked = _ask(ctx, "restart", worker, queue, by)
    _tell(ctx, asked, "asked to restart")


@group.command("drain")
def drain(
    ctx: typer.Context,
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The beginning of its id, as listed.")],
    *,
    by: By = None,
) -> None:
    """Let one worker start no more jobs: those that run end, the process stays; `restart` replaces it."""
    asked = _ask(ctx, "drain", worker, None, by)
    _tell(ctx, asked, "asked to drain")


@group.command("scale")
def scale(
    ctx: typer.Context,
    processes: Annotated[
        int | None, typer.Argument(metavar="PROCESSES", min=1, max=256, help="Processes of each host.")
    ] = None,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Take it back: each host as configured.")] = False,
    by: By = None,
) -> None:
    """Change how many processes every supervisor runs at most, unless its own command line says a number."""
    if (processes is None) != reset:
        raise ConfigurationError("say how many: pgqueue workers scale 4; or take it back with --reset")
    with opened(ctx) as database:
        if processes is None:
            database.ask(database.supervision.reset_processes(by=by or os_user()))
        else:
            database.ask(database.supervision.set_processes(processes, by=by or os_user()))
        database.tell_workers()
    if options(ctx).json:
        print_json({"processes_per_host": processes})
    else:
        say("each host runs as many processes as configured" if reset else f"each host runs {processes} processes")


def _ask(ctx: typer.Context, what: str, worker: str | None, queue: str | None, by: str | None) -> "list[UUID]":
    from pgqueue.cli.database import SILENT

    with opened(ctx) as database:
        if worker is not None:
            found = database.ask(database.supervision.worker_ids(worker))
            if len(found) != 1:
                many = f"begins {len(found)} ids; write more of it" if found else "is no worker; see `pgqueue workers`"
                raise ConfigurationError(f"{worker!r} {many}")
        asked = database.ask(
            database.supervision.ask_workers(what, by=by or os_user(), silent=SILENT, queue=queue, beginning=worker)
        )
        database.tell_workers()
    if not asked:
        where = f" that serves {queue!r}" if queue else ""
        raise ConfigurationError(f"there is no living worker{where}; see `pgqueue workers`")
    return asked


def _tell(ctx: typer.Context, asked: "list[UUID]", line: str) -> None:
    if options(ctx).json:
        print_json({"workers": asked})
    else:
        say(f"{len(asked)} worker(s) {line}; `pgqueue workers` shows when they have done so")
