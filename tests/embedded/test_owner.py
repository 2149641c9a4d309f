"""The embedded server is shared while its owner lives, and ends with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pgqueue.embedded import EmbeddedServer
from tests.embedded.processes import FAST, OWNER, answers, is_gone, postmaster
from tests.worker.harness import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_second_process_joins_the_running_server_and_does_not_stop_it(
    folder: Path, owner: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    _, url = owner()
    with EmbeddedServer(folder) as joined:
        assert not joined.owned
        assert joined.url() == url
    assert answers(url)


def test_two_processes_that_start_at_once_share_one_server(
    folder: Path, owner: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    program = [sys.executable, "-c", OWNER, str(folder)]
    both = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    urls = [process.stdout.readline() for process in both if process.stdout]
    assert len(urls) == 2
    assert urls[0] == urls[1] != ""
    pid = postmaster(folder)
    for process in both:
        process.communicate("")
    assert is_gone(pid)


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_owner_leaves_no_server(
    folder: Path, owner: Callable[..., tuple[subprocess.Popen[str], str]], killed_by: signal.Signals
) -> None:
    process, url = owner()
    pid = postmaster(folder)
    assert answers(url)
    process.send_signal(killed_by)
    assert is_gone(pid)
    assert not answers(url)


def test_a_killed_owner_leaves_no_temporary_folder() -> None:
    program = """
from pgqueue.embedded import temporary_server
with temporary_server(durable=False) as server:
    print(server.folder, server.url(), flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder, url = process.stdout.readline().split()
        assert answers(url)
        process.kill()
    eventually(lambda: not Path(folder).exists())


def test_a_child_forked_by_the_owner_does_not_keep_the_server(
    folder: Path, owner: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    process, _ = owner("fork")
    pid = postmaster(folder)
    process.kill()
    assert is_gone(pid)


def test_a_server_starts_again_right_after_its_owner_was_killed(
    folder: Path, owner: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    process, _ = owner()
    first = postmaster(folder)
    process.kill()
    with EmbeddedServer(folder, settings=FAST) as server:
        # joined on its way out, the old server ends under us, and the next start is ours
        if not server.owned:
            assert is_gone(first)
            server.stop()
            server.start()
        assert answers(server.url())
