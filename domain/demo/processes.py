"""What the demo starts beside itself: stand-ins and workers, all stopped at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from pgqueue.worker.lifeline import VARIABLE, lifeline

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
QUEUES = "publishing,notifications,default"
_PATIENCE = 5.0


class Remote:
    """A stand-in in a process of its own."""

    def __init__(self, url: str, control: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=control, trust_env=False, timeout=10)

    def state(self) -> dict[str, Any]:
        """Ask what happened so far."""
        found: dict[str, Any] = self._http.get("/state").raise_for_status().json()
        return found

    def tell(self, command: str, **content: object) -> dict[str, Any]:
        """Turn a switch."""
        answer: dict[str, Any] = self._http.post(f"/{command}", json=content).raise_for_status().json()
        return answer

    def close(self) -> None:
        """Stop talking to it."""
        self._http.close()


@contextmanager
def stand_in(part: str) -> Iterator[Remote]:
    """Start a stand-in; it ends with its stdin, whatever becomes of us."""
    command = [sys.executable, "-m", "domain.standins", part]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes to the stand-in")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in {part} did not start")
        said = json.loads(line)
        remote = Remote(said["url"], said["control"])
        try:
            yield remote
        finally:
            remote.close()
            process.stdin.close()
            _end(process)


class Worker:
    """A real `pgqueue work`; it ends when we do, however we end."""

    def __init__(self, name: str, log: Path) -> None:
        command = [sys.executable, "-m", "pgqueue", "work", "--queues", QUEUES, "--app", "domain.app:app"]
        command += ["--time-scale", "60"]
        self.name = name
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                cwd=ROOT,
                env={**os.environ, VARIABLE: str(lifeline())},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lifeline()],
            )

    def runs(self, pid: int) -> bool:
        """Tell whether a process belongs to this worker."""
        try:
            return os.getpgid(pid) == self.process.pid
        except ProcessLookupError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Wait for its end, not for ever."""
        _end(self.process)
        with suppress(ProcessLookupError):  # also what it may have started
            os.killpg(self.process.pid, signal.SIGKILL)


def stop_all(workers: list[Worker]) -> None:
    """Ask all workers to end, then see to it."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
