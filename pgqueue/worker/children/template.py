"""The process that children are forked from: it has the application imported, no threads, nothing open.

A fork of the worker itself could deadlock (it has threads that may hold locks), and starting Python anew for each child
would cost most of a second. So the worker starts this once: it loads the App, then forks whenever it is asked, and
tells how each child ended. Should the application's import have started threads, children are started anew instead.
Lines on the control socket: ``fork 7`` (with the child's end of its channel), ``kill 7``; ``ready``, ``failed …``,
``ended 7 -9``. At its end of input, that is when the worker is gone, it kills every child and goes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from pgqueue.app import load_app
from pgqueue.worker.children import child

if TYPE_CHECKING:
    from pgqueue.app import App

MODULE = "pgqueue.worker.children.template"
_NO_PROCESS = 255  # the code of a child that could not be started


def main(fd: int) -> None:
    """Serve until the worker is gone."""
    control = socket.socket(fileno=fd)
    length = int.from_bytes(_exactly(control, 4), "big")
    app_path, sys.path[:] = pickle.loads(_exactly(control, length))  # noqa: S301 - our own worker wrote it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)  # whoever signals a whole group means the worker, which says when to go
    try:
        app = load_app(app_path)
        app.load_handle()  # imported once, for all children
        importlib.import_module("sqlalchemy.ext.asyncio")  # for their transactions, 0.2 s of each fresh child otherwise
    except BaseException as error:  # noqa: BLE001 - told to the worker, whatever it is
        traceback.print_exc()
        control.sendall(f"failed {type(error).__name__}: {' '.join(str(error).split())[:500]}\n".encode())
        return
    gc.collect()
    gc.freeze()  # what is shared with the children stays shared: the collector does not touch it
    Template(control, app, app_path).serve()


class Template:
    """Forks children, kills them, tells their ends."""

    def __init__(self, control: socket.socket, app: App, app_path: str) -> None:
        """No child yet."""
        self._control = control
        self._app = app
        self._app_path = app_path
        self._children: dict[int, int] = {}  # pid: number
        self._woken, self._wake = socket.socketpair()
        self._buffer = b""
        self._ends: list[int] = []  # channels of children to come

    def serve(self) -> None:
        """Do as told until there is nobody to tell."""
        self._woken.setblocking(False)  # noqa: FBT003 - Python's own signature
        self._wake.setblocking(False)  # noqa: FBT003 - Python's own signature
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        try:
            self._control.sendall(b"ready\n")
            while self._listen():
                self._reap()
        except OSError:
            pass  # the worker is gone in the middle of a line
        signal.set_wakeup_fd(-1)
        for pid in self._children:
            _kill_group(pid)

    def _listen(self) -> bool:
        """Wait for an order or the end of a child; False: the worker is gone."""
        ready, _, _ = select.select([self._control, self._woken], [], [])
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        if self._control not in ready:
            return True
        data, fds, _, _ = socket.recv_fds(self._control, 65_536, 64)
        self._ends += fds
        if not data:
            return False
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            verb, number = line.decode().split()
            if verb == "fork":
                self._fork(int(number), self._ends.pop(0))
            else:
                self._kill(int(number))
        return True

    def _fork(self, number: int, fd: int) -> None:
        try:
            pid = self._spawned(fd) if _has_threads() else self._forked(fd)
        except OSError:
            self._tell(number, _NO_PROCESS)
        else:
            self._children[pid] = number
        finally:
            os.close(fd)

    def _forked(self, fd: int) -> int:
        template = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become_child(fd, template)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # here and there: whoever comes first
        return pid

    def _become_child(self, fd: int, template: int) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for sock in (self._control, self._woken, self._wake):
                sock.close()
            for other in self._ends:
                os.close(other)
            code = child.serve(fd, self._app, template)
        except BaseException:  # noqa: BLE001 - nothing of the template may go on in the child
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _spawned(self, fd: int) -> int:
        os.set_inheritable(fd, True)  # noqa: FBT003 - Python's own signature
        command = [sys.executable, "-m", child.MODULE, str(fd), self._app_path, str(os.getpid())]
        return os.posix_spawn(sys.executable, command, os.environ, setpgroup=0)

    def _kill(self, number: int) -> None:
        for pid, known in self._children.items():  # not reaped yet, so the id is still this child's
            if known == number:
                _kill_group(pid)

    def _reap(self) -> None:
        for pid, number in list(self._children.items()):
            if not _has_ended(pid):
                continue
            _kill_group(pid)  # whatever the job started and left
            _, status = os.waitpid(pid, 0)
            del self._children[pid]
            self._tell(number, os.waitstatus_to_exitcode(status))

    def _tell(self, number: int, code: int) -> None:
        self._control.sendall(f"ended {number} {code}\n".encode())


def _has_threads() -> bool:
    """Tell whether a fork could inherit a lock that nobody would release; native threads count, too."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) > 1
    except OSError:
        return threading.active_count() > 1


def _has_ended(pid: int) -> bool:
    """Look without reaping: as long as it is not reaped, its id and its group are its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the second if it has not made its group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise SystemExit  # the worker is gone already
        data += part
    return data


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing. A handler, not SIG_IGN: programs that a job starts get the default back."""


if __name__ == "__main__":
    main(int(sys.argv[1]))
