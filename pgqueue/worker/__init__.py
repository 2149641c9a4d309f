"""The worker: claims jobs, runs them, settles them; relays, rescues and prunes on the side."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from pgqueue.app import App, load_app
from pgqueue.embedded import embedded_url, is_embedded
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_AFTER_DRAIN = 15.0  # seconds in which everything is closed
_THREADS = 1.0  # seconds in which threads without a job end


def run(
    app_path: str,
    *,
    queues: Sequence[str] | None = None,
    concurrency: int | None = None,
    until_empty: bool = False,
    metrics_port: int | None = None,
    time_scale: float | None = None,
    database_url: str | None = None,
) -> int:
    """Serve queues until a signal (or until they are empty); returns the exit code: 0 drained, 1 gave jobs back."""
    app = load_app(app_path)
    app.take(app.settings.changed(concurrency=concurrency, time_scale=time_scale, database_url=database_url))
    app.queues(queues)  # an unknown queue is told before anything starts
    return work(app, url_of(app), queues, until_empty=until_empty, metrics_port=metrics_port)


def supervise(
    app_path: str,
    words: Sequence[str],
    *,
    queues: Sequence[str] | None = None,
    until_empty: bool = False,
    metrics_port: int | None = None,
    database_url: str | None = None,
    flags: Mapping[str, object] | None = None,
) -> int:
    """Run worker processes until a signal. ``words``: the command line of one; ``flags``: settings of `supervise`."""
    from pgqueue.worker.lifeline import watch_lifeline
    from pgqueue.worker.supervisor import Supervisor

    app = load_app(app_path)
    app.take(app.settings.changed(database_url=database_url, supervise=dict(flags or {})))
    watch_lifeline(_follow(app))
    return Supervisor(app, url_of(app), queues, words, until_empty=until_empty).run(metrics_port)


def url_of(app: App) -> str:
    """Return the address of the App's database; starts the embedded server if that is what the settings name."""
    url = app.settings.database_url
    if not url:
        raise ConfigurationError(
            "no database: set PGQUEUE_DATABASE_URL=postgresql://user@host/database, or pass --embedded"
        )
    return embedded_url(url) if is_embedded(url) else url


def work(
    app: App,
    url: str,
    queues: Sequence[str] | None = None,
    *,
    until_empty: bool = False,
    metrics_port: int | None = None,
) -> int:
    """Serve queues in this process."""
    from pgqueue.worker.guard import Guard
    from pgqueue.worker.lifeline import is_orphan, watch_lifeline
    from pgqueue.worker.line import inherited
    from pgqueue.worker.observe import observers
    from pgqueue.worker.process import Worker

    telemetry, on_watch, on_end = observers(app.settings, metrics_port)

    async def serve() -> int:
        worker = Worker(
            app, url, limits(app, queues), telemetry, until_empty=until_empty, on_watch=on_watch, line=inherited()
        )
        worker.listen_to_signals()
        guard = Guard(worker, on_end)
        guard.start()
        watch_lifeline(_follow(app))
        code = await worker.run()
        guard.stop()
        if worker.stubborn:
            on_end()
            os._exit(code)  # asyncio would wait for the job for ever; it was given back
        return code

    code = asyncio.run(serve())
    on_end()
    if is_orphan():  # the supervisor was killed: nobody else removes the folder of its processes' figures
        shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
    if _is_kept_by_a_thread():
        sys.stdout.flush()
        os._exit(code)  # Python would wait for it for ever; its job was given back or has ended by timeout
    return code


def _follow(app: App) -> Callable[[], None]:
    """Return what to do when the supervisor is gone: drain, and go even if that does not end."""

    def follow() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(app.settings.drain.total_seconds() + _AFTER_DRAIN)
        os._exit(1)

    return follow


def _is_kept_by_a_thread() -> bool:
    """Tell whether a job's thread ignores its end; idle ones go within moments."""
    deadline = time.monotonic() + _THREADS
    for thread in threading.enumerate():
        if thread.name.startswith("pgqueue job"):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return True
    return False


def limits(app: App, queues: Sequence[str] | None) -> dict[str, int | None]:
    """Return the ``workers`` of each queue, in order of priority."""
    return {name: settings.workers for name, settings in app.queues(queues).items()}
