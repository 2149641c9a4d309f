"""Gives a worker's runner its child processes, where a child could find the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pgqueue.worker.children.pool import Children
from pgqueue.worker.children.run import Isolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.app import App
    from pgqueue.settings import Settings
    from pgqueue.worker.runner import Runner


def isolate(runner: Runner, app: App, url: str, settings: Settings) -> Children | None:
    """Let a runner use child processes; None: the App was made by hand, and all jobs run in this process."""
    if app.path is None:
        return None
    children = Children(app.path, url, settings)
    runner.isolation = Isolation(children, runner, settings)
    return children


async def warm(children: Children | None, runner: Runner, served: Sequence[str]) -> None:
    """Prepare for the first job of a kind that says ``executor="process"``; whoever serves no such kind pays nothing.

    A queue that is served only later has its first such job wait for the start.
    """
    kinds = [name for name, kind in runner.kinds.items() if kind.in_child and kind.cls.policy.queue in served]
    if not kinds:
        return
    if children is None:
        structlog.get_logger("pgqueue").warning(
            "child.unavailable",
            kinds=kinds,
            hint="only an App that was named by its path can run jobs in child processes: they run in this one",
        )
        return
    await children.warm()
