"""The demo as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.worker.family import children_of, command, is_alive

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "domain.demo"]

pytestmark = pytest.mark.timeout(120)


def test_every_check_of_the_demo_holds() -> None:
    done = subprocess.run([*DEMO, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["ok"]
    assert all(check["ok"] for check in result["checks"])
    assert len(result["checks"]) == 10
    assert (result["posts_on_the_networks"], result["duplicates"]) == (39, 0)
    assert result["seconds"] < 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_demo_leaves_nothing_running(number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = iter(demo.stdout.readline, "")
        next(line for line in lines if "the first post is online" in line)
        started = _descendants(demo.pid)
        assert len(started) > 10  # two workers, the stand-ins, the database server and its processes
        demo.send_signal(number)
        rest = "".join(lines)
        code = demo.wait()
    assert "Traceback" not in rest
    if number != signal.SIGKILL:
        assert code == 130
        assert "everything is stopped" in rest
    deadline = time.monotonic() + 10
    while left := [pid for pid in started if is_alive(pid)]:
        assert time.monotonic() < deadline, [command(pid) for pid in left]
        os.sched_yield()


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    found = children_of(pid)
    return found + [further for child in found for further in _descendants(child)]
