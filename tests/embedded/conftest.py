from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pgqueue.embedded_binaries import memory_folder, public_temporary_folder, server_account
from tests.embedded.processes import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own temporary folders are closed to the account that the server has when root runs the tests
    parent = memory_folder(server_account()) or public_temporary_folder(server_account())
    with tempfile.TemporaryDirectory(prefix="pgqueue-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def owner(folder: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        _kill_session(process.pid)
        process.communicate()


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
