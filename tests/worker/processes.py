"""`pgqueue work` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.worker.harness import eventually

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parents[2]


class Process:
    """One command line; what it writes goes to a file, because nobody reads a pipe."""

    verb = "work"
    application = "tests.worker.jobs:app"

    def __init__(self, folder: Path, url: str, *words: str, app: str | None = None, **environment: str) -> None:
        self.log = folder / f"worker-{len(list(folder.iterdir()))}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PGQUEUE_")}
        with self.log.open("wb") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "pgqueue", self.verb, "--app", app or self.application, *words],
                cwd=ROOT,
                env=clean | {"PGQUEUE_DATABASE_URL": url} | environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C of the terminal reaches the whole group, and not the tests
                pass_fds=[int(environment["PGQUEUE_LIFELINE"])] if "PGQUEUE_LIFELINE" in environment else [],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _ in range(2):
            if self.popen.poll() is None:
                self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        if error is not None:
            sys.stderr.write(self.log.read_text("utf-8"))

    @property
    def text(self) -> str:
        return self.log.read_text("utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The whole lines that are JSON."""
        return [json.loads(line) for line in self.text.split("\n")[:-1] if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    def says(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until it has said so."""

        def said() -> list[dict[str, Any]] | None:
            found = self.events(name)
            if len(found) >= count:
                return found
            assert self.popen.poll() is None, f"it ended with {self.popen.returncode}: {self.text}"
            return None

        return eventually(said)  # type: ignore[no-any-return]  # lines

    def press_ctrl_c(self) -> None:
        os.killpg(self.popen.pid, signal.SIGINT)

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def ends(self) -> int:
        return self.popen.wait(20)
