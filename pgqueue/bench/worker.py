"""The process under test: an ordinary worker that tells when it was ready and when its work was done.

`python -m pgqueue.bench.worker schema expected`; the address comes from the environment, where `ps` does not show it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import resource
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.bench.kinds import URL_VARIABLE, app_for
from pgqueue.worker import limits
from pgqueue.worker.observe import observers
from pgqueue.worker.process import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK = 0.002  # seconds between looks at what is settled


class Statements:
    """Counts statements where they are sent: at the connections of this process."""

    def __init__(self) -> None:
        """Count from now on, the synchronous connection of the heartbeat too."""
        self.sent = 0
        for cursor in (psycopg.Cursor, psycopg.AsyncCursor):
            cursor.execute = self._counted(cursor.execute)  # type: ignore[method-assign]  # this process exists to be measured

    def _counted(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(execute)
        def counted(*args: Any, **options: Any) -> Any:
            self.sent += 1
            return execute(*args, **options)

        return counted


def main(schema: str, expected: int) -> int:
    """Serve until ``expected`` jobs are settled (0: until a signal)."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    statements = Statements()
    app = app_for(os.environ[URL_VARIABLE], schema)
    telemetry, on_watch, on_end = observers(app.settings, None)
    worker = Worker(app, app.settings.database_url or "", limits(app, None), telemetry, on_watch=on_watch)
    code = asyncio.run(_measured(worker, statements, expected))
    on_end()
    return code


async def _measured(worker: Worker, statements: Statements, expected: int) -> int:
    worker.listen_to_signals()
    serving = asyncio.create_task(worker.run())
    ready = asyncio.create_task(worker.started.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    began, cpu, sent = time.monotonic(), _cpu(), statements.sent
    _tell(event="ready", at=began)
    if expected:
        while worker.pump.settled < expected and not serving.done():  # noqa: ASYNC110 - an event would slow what is measured
            await asyncio.sleep(_LOOK)
        seconds = time.monotonic() - began
        _tell(
            event="drained",
            jobs=worker.pump.settled,
            seconds=seconds,
            cpu_seconds=_cpu() - cpu,
            statements=statements.sent - sent,
        )
        worker.stop()
    return await serving


def _end_with_parent() -> None:
    """Wait for the end of the input, which comes when the process that measures is gone, however it went."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(**event: object) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
