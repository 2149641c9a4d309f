"""`--processes N`: starts N worker processes, restarts what dies, passes signals on, serves all metrics on one port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue.embedded import embedded_url, is_embedded
from pgqueue.logs import configure
from pgqueue.worker.lifeline import VARIABLE

if TYPE_CHECKING:
    from types import FrameType

_STEADY = 10.0  # seconds after which a process counts as healthy and its backoff starts again
_LONGEST = 30.0
_USAGE_OR_SCHEMA = (2, 3)  # a restart would end the same way


@cache
def _lifeline() -> tuple[int, int]:
    """Return a pipe whose writing end only this process has: when it is gone, its workers read the end."""
    return os.pipe()


class Child:
    """One worker process and how often it died."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        """Start it."""
        self._command = command
        self._environment = environment
        self.deaths = 0
        self.start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.started = time.monotonic()
        # A group of its own: the terminal's Ctrl-C would reach it beside the signal that is passed on, and count twice.
        line, _ = _lifeline()
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            self._command, env=self._environment | {VARIABLE: str(line)}, process_group=0, pass_fds=[line]
        )

    def poll(self) -> int | None:
        """Return the exit code, if it has ended."""
        return self.process.poll() if self.process else None


class Supervisor:
    """Runs this very command line N times, one process each."""

    def __init__(self, processes: int, metrics_port: int | None) -> None:
        """Start nothing."""
        self._processes = processes
        self._port = metrics_port
        self._signals = 0
        self._log: Any = None
        self._children: list[Child] = []

    def run(self) -> int:
        """Supervise until all processes have ended on request; returns the worst exit code."""
        configure("info")
        self._log = structlog.get_logger("pgqueue")
        metrics = tempfile.mkdtemp(prefix="pgqueue-metrics-")
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            if self._port is not None:
                self._serve_metrics(metrics)
            for index in range(self._processes):
                self._children.append(self._child(index, metrics))
            return self._watch(list(self._children))
        finally:
            shutil.rmtree(metrics, ignore_errors=True)

    def _child(self, index: int, metrics: str) -> Child:
        environment = os.environ | {
            "PGQUEUE_PROCESS": f"{index}/{self._processes}",
            "PROMETHEUS_MULTIPROC_DIR": metrics,
        }
        url = environment.get("PGQUEUE_DATABASE_URL", "")
        if is_embedded(url):
            environment["PGQUEUE_DATABASE_URL"] = embedded_url(url)
        return Child([sys.executable, "-m", "pgqueue", *_without_processes(sys.argv[1:])], environment)

    def _watch(self, children: list[Child]) -> int:
        worst = 0
        while children:
            for child in list(children):
                code = child.poll()
                if code is None:
                    if self._signals == 0 and time.monotonic() - child.started > _STEADY:
                        child.deaths = 0
                elif self._signals or code in _USAGE_OR_SCHEMA or (code == 0 and _ends_when_empty()):
                    # Ended by our own signal before it could listen to signals: it had claimed nothing yet.
                    early = self._signals > 0 and code == -signal.SIGTERM
                    worst = max(worst, 0 if early else code if code >= 0 else 1)
                    children.remove(child)
                else:
                    self._restart(child, code)
            time.sleep(0.05)
        return worst

    def _restart(self, child: Child, code: int) -> None:
        now = time.monotonic()
        if child.start_at == 0.0:
            delay = min(0.2 * 2**child.deaths, _LONGEST)
            child.deaths += 1
            child.start_at = now + delay
            self._log.error(
                "process.died", pid=child.process.pid if child.process else None, code=code, restartInSeconds=delay
            )
        elif now >= child.start_at:
            child.start_at = 0.0
            child.start()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Pass it on: the first drains, the second gives jobs back."""
        self._signals += 1
        for child in self._children:
            if child.process and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)

    def _serve_metrics(self, folder: str) -> None:
        from prometheus_client import CollectorRegistry, start_http_server
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library is untyped here
        start_http_server(self._port or 0, registry=registry)


def _ends_when_empty() -> bool:
    """Tell whether a process may end well by itself; else a job has ended it, with any code it liked."""
    return "--until-empty" in sys.argv


def _without_processes(arguments: list[str]) -> list[str]:
    """Return the command line of one process: without --processes and --metrics-port."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--processes", "--metrics-port"):
            skip = True
        elif not argument.startswith(("--processes=", "--metrics-port=")):
            kept.append(argument)
    return kept
