"""What the demo starts beside itself: stand-ins, workers, commands. All of it ends with the demo, however that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from pgqueue.worker.lifeline import VARIABLE, lifeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
TIME_SCALE = 60
"""A minute of backoff is a second here."""
_PATIENCE = 10.0


class Remote:
    """A stand-in in another process."""

    def __init__(self, url: str, control: str) -> None:
        self.url = url
        self.control = control
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
def stand_ins(parts: Sequence[str]) -> Iterator[list[Remote]]:
    """Start stand-ins, all in one process; it ends with its stdin, whatever becomes of us."""
    command = [sys.executable, "-m", "domain.standins", *parts]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with ExitStack() as stack:
        stack.callback(_end, process)
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes to the stand-ins")
        stack.callback(process.stdin.close)
        remotes = []
        for part in parts:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the stand-in {part} did not start")
            said = json.loads(line)
            remote = Remote(said["url"], said["control"])
            stack.callback(remote.close)
            remotes.append(remote)
        yield remotes


class Supervisor:
    """A real `pgqueue supervise` with the application's own configuration; its processes are told by the database."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "pgqueue", "supervise", "--app", "domain.app:app"]
        command += ["--time-scale", str(TIME_SCALE)]
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

    def stop(self) -> None:
        """Let it drain, not for ever."""
        self.process.send_signal(signal.SIGTERM)
        _end(self.process)


def pgqueue(*words: str) -> str:
    """Run a command as an operator would and return what it says."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "pgqueue", *words], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"pgqueue {' '.join(words)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
