"""The processes of a queue that is measured: started here, ended by the handle that started them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from benchmarks.counting import GATE, PING, PINGS, SUFFIX
from benchmarks.environment import HERE, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.catalogue import Entrant

_PATIENCE = 120.0  # seconds for one answer


class Failed(Exception):
    """A queue did not do what it was asked for."""


class Processes:
    """The producer and the workers of one queue, with the folder through which they tell what they did."""

    def __init__(self, entrant: Entrant, folder: Path, environment: dict[str, str]) -> None:
        """Start the producer."""
        self._folder = folder
        self._environment = os.environ | environment | {"PYTHONPATH": str(HERE.parent), "PYTHONUNBUFFERED": "1"}
        self._log = folder / "log"
        os.mkfifo(folder / PINGS)
        self._pings = os.open(folder / PINGS, os.O_RDWR | os.O_NONBLOCK)
        python = str(PYTHON) if entrant.package else sys.executable
        self._driver = self._start(
            [python, "-m", "benchmarks.driver", entrant.module], stdin=subprocess.PIPE, piped=True
        )

    def __enter__(self) -> Self:
        """Nothing to do: it runs."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the producer."""
        _end(self._driver)
        os.close(self._pings)

    def ask(self, name: str, argument: int = 0) -> Any:
        """Let the producer do something; return its answer."""
        assert self._driver.stdin is not None  # noqa: S101 - for the type checker: it was started with pipes
        assert self._driver.stdout is not None  # noqa: S101 - the same
        with contextlib.suppress(BrokenPipeError):
            self._driver.stdin.write(json.dumps([name, argument]) + "\n")
            self._driver.stdin.flush()
        heard, _, _ = select.select([self._driver.stdout], [], [], _PATIENCE)
        line = self._driver.stdout.readline() if heard else ""
        if not line:
            raise Failed(f"{name}: {self._last_words()}")
        return json.loads(line)

    @contextlib.contextmanager
    def workers(self, command: list[str], count: int, *, gate: bool) -> Iterator[list[subprocess.Popen[str]]]:
        """Run workers; with a ``gate`` their first jobs wait for `open_gate`."""
        for path in [*self._folder.glob(f"*{SUFFIX}"), self._folder / GATE]:
            path.unlink(missing_ok=True)
        if not gate:
            self.open_gate()
        running = [self._start(command) for _ in range(count)]
        try:
            yield running
        finally:
            self.open_gate()
            for process in running:
                _end(process)

    def open_gate(self) -> None:
        """Let the workers begin."""
        (self._folder / GATE).touch()

    def counters(self) -> list[Path]:
        """One file for each process that has begun a job."""
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def wait_until_begun(self, runners: int, workers: list[subprocess.Popen[str]]) -> None:
        """Return when so many processes have their first job in hand."""
        end = time.monotonic() + _PATIENCE
        while len(self.counters()) < runners:
            self.check(workers, end)
            time.sleep(0.005)

    def check(self, workers: list[subprocess.Popen[str]], end: float) -> None:
        """Give up when a worker is gone or the time is over."""
        if any(worker.poll() is not None for worker in workers):
            raise Failed(f"a worker ended: {self._last_words()}")
        if time.monotonic() > end:
            raise Failed(f"not done in time: {self._last_words()}")

    def hear_ping(self, number: int) -> float:
        """Wait for the start of that ping; return when it was."""
        end = time.monotonic() + 30
        while select.select([self._pings], [], [], max(0.0, end - time.monotonic()))[0]:
            heard, at = PING.unpack(os.read(self._pings, PING.size))
            if heard == number:
                return float(at)
        raise Failed(f"ping {number} never started: {self._last_words()}")

    def _start(
        self, command: list[str], *, stdin: int = subprocess.DEVNULL, piped: bool = False
    ) -> subprocess.Popen[str]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - commands of our own modules
                command,
                stdin=stdin,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                env=self._environment,
                cwd=HERE.parent,
                text=True,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-6:]) or "it said nothing"


def _end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, wait, and make sure that nothing of its session is left."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
