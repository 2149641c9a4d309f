"""`pgqueue queues` and `pgqueue workers`: how queues stand, who serves them, and the brake."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli.output import Column, age, print_json, record, say, table
from pgqueue.cli.state import opened, options, os_user
from pgqueue.errors import UnknownQueue

if TYPE_CHECKING:
    from pgqueue.cli.database import Database
    from pgqueue.queries.control_rows import WorkerRow

group = typer.Typer(help="See how queues stand (a bare `pgqueue queues` lists), pause and resume them.")

Name = Annotated[str, typer.Argument(metavar="QUEUE")]

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
            "paused" if queue.paused_at else "open",
            count(queue.enqueued),
            count(queue.waiting),
            count(queue.held),
            count(queue.ready),
            count(queue.running),
            count(queue.dead),
            age(queue.oldest_ready_seconds),
            queue.workers,
        )
        for queue in found
    ]
    table(_COLUMNS, rows, empty="no queues yet: a queue is known from its first job or worker on")
    if any(queue.at_least for queue in found):
        say(f"counted up to {MOST} jobs of each state")


@group.command("pause")
def pause(
    ctx: typer.Context,
    queue: Name,
    *,
    by: Annotated[str | None, typer.Option("--by", help="Who does it. Default: the OS user.")] = None,
) -> None:
    """Stop claiming from a queue on all hosts; running jobs end, new ones may be enqueued."""
    with opened(ctx) as database:
        if not database.ask(database.control.pause(queue, by=by or os_user())):
            raise _unknown(database, queue)
    _tell(ctx, queue, "paused", f"queue {queue} is paused; `pgqueue queues resume {queue}` opens it again")


@group.command("resume")
def resume(
    ctx: typer.Context,
    queue: Name,
    *,
    by: Annotated[str | None, typer.Option("--by", help="Who does it. Default: the OS user.")] = None,
) -> None:
    """Claim from a paused queue again."""
    with opened(ctx) as database:
        if not database.ask(database.control.resume(queue, by=by or os_user())):
            raise _unknown(database, queue)
    _tell(ctx, queue, "open", f"queue {queue} is open")


def _tell(ctx: typer.Context, queue: str, state: str, line: str) -> None:
    if options(ctx).json:
        print_json({"queue": queue, "state": state})
    else:
        say(line)


def _unknown(database: "Database", queue: str) -> UnknownQueue:
    names = database.ask(database.control.queue_names())
    known = ", ".join(names) or "none yet"
    return UnknownQueue(f"unknown queue {queue!r}; known (from their first job or worker on): {known}")


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


def workers(ctx: typer.Context) -> None:
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
    return "draining" if worker.draining else "alive"
