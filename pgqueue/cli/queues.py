"""`pgqueue queues`: how queues stand, the brake, and how much of each host they may use."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.output import Column, age, print_json, record, say, table, when
from pgqueue.cli.state import By, opened, options, os_user
from pgqueue.errors import ConfigurationError, UnknownQueue

if TYPE_CHECKING:
    from pgqueue.cli.database import Database
    from pgqueue.queries.control_rows import QueueStats

group = typer.Typer(help="See how queues stand (a bare `pgqueue queues` lists), pause, resume, scale and order them.")

Name = Annotated[str, typer.Argument(metavar="QUEUE")]

_ORDERS = ("fair", "fifo", "unset")
_COLUMNS = (
    Column("queue"),
    Column("state"),
    Column("enqueued", right=True),
    Column("waiting", right=True),
    Column("held", right=True),
    Column("ready", right=True),
    Column("running", right=True),
    Column("dead", right=True),
    Column("oldest ready", right=True),
    Column("workers", right=True),
    Column("set at run time", grows=True),
)


@group.command("list")
def list_queues(ctx: typer.Context) -> None:
    """List the queues that had a job or a worker, with their jobs by state."""
    from pgqueue.cli.database import SILENT
    from pgqueue.queries.control import MOST

    with opened(ctx) as database:
        found = database.ask(database.control.queue_stats(silent=SILENT))
    if options(ctx).json:
        print_json([{**record(queue), "counted_up_to": MOST} for queue in found])
        return

    def count(jobs: int) -> str:
        return f"{jobs}+" if jobs >= MOST else str(jobs)

    rows = [
        (
            queue.queue,
            _state(queue),
            count(queue.enqueued),
            count(queue.waiting),
            count(queue.held),
            count(queue.ready),
            count(queue.running),
            count(queue.dead),
            age(queue.oldest_ready_seconds),
            queue.workers,
            _override(queue),
        )
        for queue in found
    ]
    table(_COLUMNS, rows, empty="no queues yet: a queue is known from its first job or worker on")
    if any(queue.at_least for queue in found):
        say(f"counted up to {MOST} jobs of each state")


def _state(queue: "QueueStats") -> str:
    if queue.paused_at and queue.resume_at:
        return f"paused until {when(queue.resume_at)}"
    return "paused" if queue.paused_at else "open"


def _override(queue: "QueueStats") -> str:
    """Say what somebody set over the configuration, who and when."""
    if queue.workers_per_host is None:
        return ""
    return f"{queue.workers_per_host} at once per host, by {queue.workers_by}, {when(queue.workers_at)}"


@group.command("pause")
def pause(
    ctx: typer.Context,
    queue: Name,
    *,
    length: Annotated[
        str | None, typer.Option("--for", metavar="10m", help="Resume by itself after so long. Default: never.")
    ] = None,
    by: By = None,
) -> None:
    """Stop claiming from a queue on all hosts; running jobs end, new ones may be enqueued."""
    from pgqueue.duration import duration

    while_ = duration(length, what="--for") if length is not None else None
    if while_ is not None and not while_:
        raise ConfigurationError("--for is 0; write how long, such as --for 10m, or leave it out")
    with opened(ctx) as database:
        database.ask(database.control.know_queue(queue))
        if not database.ask(database.control.pause(queue, by=by or os_user(), duration=while_)):
            raise _unknown(database, queue)
        database.tell_workers()
    again = f"opens by itself in {length}" if length else f"`pgqueue queues resume {queue}` opens it again"
    _tell(ctx, queue, "paused", f"queue {queue} is paused; {again}")


@group.command("resume")
def resume(
    ctx: typer.Context,
    queue: Name,
    *,
    by: By = None,
) -> None:
    """Claim from a paused queue again."""
    with opened(ctx) as database:
        database.ask(database.control.know_queue(queue))
        if not database.ask(database.control.resume(queue, by=by or os_user())):
            raise _unknown(database, queue)
        database.tell_workers(queue)
    _tell(ctx, queue, "open", f"queue {queue} is open")


@group.command("scale")
def scale(
    ctx: typer.Context,
    queue: Name,
    workers: Annotated[
        int | None, typer.Argument(metavar="WORKERS", min=1, max=1000, help="Jobs at once on each host.")
    ] = None,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Take it back: each host as configured.")] = False,
    by: By = None,
) -> None:
    """Change how many jobs of a queue run at once on each host, over what is configured, while workers run."""
    if (workers is None) != reset:
        raise ConfigurationError("say how many: pgqueue queues scale QUEUE 6; or take it back with --reset")
    with opened(ctx) as database:
        database.ask(database.control.know_queue(queue))
        found = database.ask(database.supervision.set_workers(queue, workers, by=by or os_user()))
        if not found:
            raise _unknown(database, queue)
        database.tell_workers()
    if options(ctx).json:
        print_json({"queue": queue, "workers_per_host": workers})
    elif reset:
        say(f"queue {queue} runs on each host as configured")
    else:
        say(f"queue {queue} runs {workers} jobs at once on each host; --reset takes that back")


@group.command("order")
def order(
    ctx: typer.Context,
    queue: Name,
    order: Annotated[str, typer.Argument(metavar="fair|fifo|unset", help="unset: the workers' settings decide.")],
    *,
    by: By = None,
) -> None:
    """Share a queue fairly among organizations, or serve it in the order of arrival, on all hosts."""
    if order not in _ORDERS:
        raise ConfigurationError(f"the order is {order!r}; give one of {', '.join(_ORDERS)}")
    with opened(ctx) as database:
        database.ask(database.control.know_queue(queue))
        chosen = None if order == "unset" else order
        if not database.ask(database.limits.set_order(queue, chosen, by=by or os_user())):
            raise _unknown(database, queue)
    if options(ctx).json:
        print_json({"queue": queue, "order": chosen})
    else:
        say(f"queue {queue}: " + (f"jobs that arrive from now on get a {order} place" if chosen else "settings decide"))


def _tell(ctx: typer.Context, queue: str, state: str, line: str) -> None:
    if options(ctx).json:
        print_json({"queue": queue, "state": state})
    else:
        say(line)


def _unknown(database: "Database", queue: str) -> UnknownQueue:
    names = database.ask(database.control.queue_names())
    known = ", ".join(names) or "none yet"
    return UnknownQueue(f"unknown queue {queue!r}; known (from their first job or worker on): {known}")
