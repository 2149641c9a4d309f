"""Commands that run jobs: work, and supervise for several processes of one host."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import typer

from pgqueue.cli.operate import AppPath
from pgqueue.cli.state import app_of, options
from pgqueue.errors import ConfigurationError

_Queues = Annotated[
    str | None, typer.Option(metavar="A,B", help="Queues to serve, most important first. Default: all of the App.")
]
_Concurrency = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="Jobs at once in each process. Default: the App's setting.")
]
_UntilEmpty = Annotated[
    bool, typer.Option("--until-empty", help="End when nothing is left that is due; what waits for later stays.")
]
_MetricsPort = Annotated[int | None, typer.Option(min=1, max=65_535, help="Serve Prometheus metrics on this port.")]
_TimeScale = Annotated[
    float | None, typer.Option(min=0.001, max=100_000, help="For demonstrations: divide backoff and snooze by this.")
]
_Poll = Annotated[
    str | None, typer.Option(metavar="5s", envvar="PGQUEUE_POLL", help="How often to look although nothing woke us.")
]


def work(  # noqa: PLR0913 - each is an option of its own
    ctx: typer.Context,
    *,
    app: AppPath = None,
    queues: _Queues = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Worker processes.")] = 1,
    concurrency: _Concurrency = None,
    until_empty: _UntilEmpty = False,
    metrics_port: _MetricsPort = None,
    time_scale: _TimeScale = None,
    poll: _Poll = None,
) -> None:
    """Run jobs until told to stop: SIGTERM or Ctrl-C drains, a second one gives running jobs back."""
    names = _checked(ctx, app, queues, poll)
    if processes > 1:
        flags = {"balance": "off", "max_processes": processes}
        words = _words(str(app), names, concurrency, until_empty=until_empty, time_scale=time_scale)
        raise typer.Exit(_supervise(ctx, words, names, metrics_port, flags))
    from pgqueue.worker import run

    code = run(
        str(app),
        queues=names,
        concurrency=concurrency,
        until_empty=until_empty,
        metrics_port=metrics_port,
        time_scale=time_scale,
        database_url=_url_if_given(ctx),
    )
    raise typer.Exit(code)


def supervise(  # noqa: PLR0913 - each is an option of its own
    ctx: typer.Context,
    *,
    app: AppPath = None,
    queues: _Queues = None,
    balance: Annotated[
        Literal["off", "simple", "auto"] | None,
        typer.Option(help="off: every process serves all queues; simple: divided evenly; auto: by load."),
    ] = None,
    min_processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="With auto: processes that every group of queues keeps.")
    ] = None,
    max_processes: Annotated[int | None, typer.Option(min=1, max=256, help="Processes of this host in all.")] = None,
    concurrency: _Concurrency = None,
    until_empty: _UntilEmpty = False,
    metrics_port: _MetricsPort = None,
    time_scale: _TimeScale = None,
    poll: _Poll = None,
) -> None:
    """Run and balance worker processes as the configuration says. SIGHUP reads it again, SIGTERM drains."""
    names = _checked(ctx, app, queues, poll)
    flags = {"balance": balance, "min_processes": min_processes, "max_processes": max_processes}
    words = _words(str(app), names, concurrency, until_empty=until_empty, time_scale=time_scale)
    given = {name: value for name, value in flags.items() if value is not None}
    raise typer.Exit(_supervise(ctx, words, names, metrics_port, given))


def _supervise(
    ctx: typer.Context,
    words: list[str],
    names: list[str] | None,
    metrics_port: int | None,
    flags: Mapping[str, object],
) -> int:
    from pgqueue.worker import supervise as run

    return run(
        words[2],
        words,
        queues=names,
        until_empty="--until-empty" in words,
        metrics_port=metrics_port,
        database_url=_url_if_given(ctx),
        flags=flags,
    )


def _checked(ctx: typer.Context, app: str | None, queues: str | None, poll: str | None) -> list[str] | None:
    """Check what can be checked before a database is touched: a wrong path or queue is the caller's mistake."""
    names = [name.strip() for name in queues.split(",") if name.strip()] if queues is not None else None
    if names == []:
        raise ConfigurationError("--queues names no queue; write --queues high,default or leave it out")
    _hand_on(poll=poll, schema=options(ctx).given_schema)
    app_of(app).queues(names)
    return names


def _words(
    app: str, names: list[str] | None, concurrency: int | None, *, until_empty: bool, time_scale: float | None
) -> list[str]:
    """Return the command line of one worker process; what is not in it goes through the environment."""
    words = ["work", "--app", app]
    for flag, value in (
        ("--queues", ",".join(names) if names else None),
        ("--concurrency", concurrency),
        ("--time-scale", time_scale),
    ):
        words += [] if value is None else [flag, str(value)]
    return [*words, "--until-empty"] if until_empty else words


def _hand_on(*, poll: str | None, schema: str | None) -> None:
    """Hand flags on as the variables that they stand for: the App's settings and worker processes read those."""
    if poll is not None:
        from pgqueue.duration import duration

        duration(poll, what="--poll")
        os.environ["PGQUEUE_POLL"] = poll
    if schema is not None:
        os.environ["PGQUEUE_SCHEMA"] = schema


def _url_if_given(ctx: typer.Context) -> str | None:
    """Return the address from options or environment; else the App's settings may name one."""
    chosen = options(ctx)
    return chosen.url() if chosen.embedded or chosen.database_url else None
