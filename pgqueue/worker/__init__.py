"""The worker: claims jobs, runs them, settles them; relays, rescues and prunes on the side."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING

from pgqueue.app import App, load_app
from pgqueue.embedded import embedded_url, is_embedded
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(
    app_path: str,
    *,
    queues: Sequence[str] | None = None,
    processes: int = 1,
    concurrency: int | None = None,
    until_empty: bool = False,
    metrics_port: int | None = None,
    time_scale: float | None = None,
    database_url: str | None = None,
) -> int:
    """Serve queues until a signal (or until they are empty); returns the exit code: 0 drained, 1 gave jobs back."""
    app = load_app(app_path)
    app.settings = app.settings.changed(concurrency=concurrency, time_scale=time_scale, database_url=database_url)
    url = app.settings.database_url
    if not url:
        raise ConfigurationError(
            "no database: set PGQUEUE_DATABASE_URL=postgresql://user@host/database, or pass --embedded"
        )
    app.queues(queues)  # an unknown queue is told before anything starts
    if processes > 1:
        from pgqueue.worker.supervisor import Supervisor

        return Supervisor(processes, metrics_port).run()
    return work(
        app, embedded_url(url) if is_embedded(url) else url, queues, until_empty=until_empty, metrics_port=metrics_port
    )


def work(
    app: App,
    url: str,
    queues: Sequence[str] | None = None,
    *,
    until_empty: bool = False,
    metrics_port: int | None = None,
) -> int:
    """Serve queues in this process."""
    from pgqueue.worker.observe import observers
    from pgqueue.worker.process import Worker

    telemetry, on_watch, on_end = observers(app.settings, metrics_port)

    async def serve() -> int:
        worker = Worker(app, url, shares(app, queues), telemetry, until_empty=until_empty, on_watch=on_watch)
        worker.listen_to_signals()
        return await worker.run()

    code = asyncio.run(serve())
    on_end()
    if any(thread.name.startswith("pgqueue job") and thread.is_alive() for thread in threading.enumerate()) and code:
        sys.stdout.flush()
        os._exit(code)  # a thread that ignores its end would keep the process; its job was given back
    return code


def shares(
    app: App, queues: Sequence[str] | None, environment: Mapping[str, str] = os.environ
) -> dict[str, int | None]:
    """Return this process's share of each queue's ``workers``: the supervisor says which process of how many it is."""
    index, of = (int(part) for part in environment.get("PGQUEUE_PROCESS", "0/1").split("/"))
    found: dict[str, int | None] = {}
    for name, settings in app.queues(queues).items():
        share = None if settings.workers is None else settings.workers // of + (index < settings.workers % of)
        if share != 0:
            found[name] = share
    return found
