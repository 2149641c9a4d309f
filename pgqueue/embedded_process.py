"""The embedded server's programs as processes: started with their own account, stopped with their owner."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import weakref
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pgqueue.embedded_binaries import Account

__all__ = ["Guarded", "StopMode", "last_words", "run"]

StopMode = Literal["fast", "immediate"]
SIGNALS: dict[StopMode, str] = {"fast": "INT", "immediate": "QUIT"}
STOP_TIMEOUT = 30.0

# The server's parent. It reads from a pipe whose other end its owner holds: a line is the signal to send, the
# end of the pipe means that the owner is gone: then nobody else removes a temporary folder. The signal is repeated
# because the first one may come before the server listens to signals.
GUARD = """
exec 3<&0 </dev/null
temporary=$1 orphaned=
shift
"$@" 3<&- &
server=$!
{ read -r signal <&3 || { signal=INT orphaned=yes; trap '' TERM; }
  while kill -s "$signal" "$server"; do sleep 1; done
  if [ "$orphaned" ] && [ "$temporary" ]; then rm -rf -- "$temporary"; fi
} >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"""


class _Options(TypedDict, total=False):
    cwd: str
    env: dict[str, str]
    umask: int
    user: int
    group: int
    extra_groups: list[int]


def _options(account: Account) -> _Options:
    """Start with the server's account, and nothing of our environment (PGOPTIONS and its like)."""
    options: _Options = {
        "cwd": "/",
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        "umask": 0o077,
    }
    if account.switched:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def run(command: Sequence[str], account: Account) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end."""
    return subprocess.run(  # noqa: S603 - our own command line, no shell
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, **_options(account)
    )


class Guarded:
    """A server that ends when the process that made this object ends, however it ends."""

    def __init__(self, command: Sequence[str], account: Account, log: Path, temporary: Path | None = None) -> None:
        """Start the server; what it says goes to the end of `log`. An owner that is killed leaves no `temporary`."""
        self._owner_pid = os.getpid()
        # the server's account owns the folder: it must not be able to point us elsewhere with a symbolic link
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "ab") as output:
            # a session of its own: Ctrl-C in the terminal is for us, the server stops after us
            self._process = subprocess.Popen(  # noqa: S603 - a constant script; what varies are its arguments
                ["/bin/sh", "-c", GUARD, "pgqueue-embedded", str(temporary or ""), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_options(account),
            )
        _running.add(self)

    @property
    def ended(self) -> bool:
        """Whether the server has ended."""
        return self._process.poll() is not None

    def stop(self, mode: StopMode) -> None:
        """Stop the server and wait for its end; nothing in a process that was forked from the owner."""
        if os.getpid() != self._owner_pid:
            return
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it was started with a pipe
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(f"{SIGNALS[mode]}\n".encode())
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def let_go(self) -> None:
        """Close a forked process's copy of the pipe, which would keep the server after its owner's end."""
        if self._process.stdin is not None:
            self._process.stdin.close()


def last_words(output: bytes, lines: int = 8) -> str:
    """Say why a program failed: the end of its output."""
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-lines:]) or "it said nothing"


_running: weakref.WeakSet[Guarded] = weakref.WeakSet()


def _let_go_after_fork() -> None:
    for guarded in _running:
        guarded.let_go()


os.register_at_fork(after_in_child=_let_go_after_fork)
