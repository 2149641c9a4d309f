"""The demo as a user starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = iter(demo.stdout.readline, "")
        pids = next(found for line in lines if (found := re.search(r"workers: pids (\d+), (\d+)", line)))
        started = [int(pid) for pid in pids.groups()] + _children(demo.pid)
        demo.send_signal(number)
        rest = "".join(lines)
        assert demo.wait() == 130
    assert "everything is stopped" in rest
    assert "Traceback" not in rest
    deadline = time.monotonic() + 5
    while left := [pid for pid in started if _lives(pid)]:
        assert time.monotonic() < deadline, left
        os.sched_yield()


def _children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607 - ps from the PATH
    return [int(line) for line in done.stdout.split()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
