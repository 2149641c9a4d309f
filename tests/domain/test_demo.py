"""The demo as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from domain.demo.__main__ import main
from domain.demo.checks import check
from domain.demo.folders import own_folder
from domain.demo.memory import descendants, held
from domain.demo.scenes import SCENES
from tests.domain.spoiling import facts_of, spoil
from tests.worker.family import command, is_alive
from tests.worker.harness import eventually

if TYPE_CHECKING:
    from typing import IO

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "domain.demo"]

pytestmark = pytest.mark.timeout(300)


@pytest.mark.long
def test_every_check_of_the_demo_holds_and_none_of_them_always_does() -> None:
    with subprocess.Popen([*DEMO, "--json", "--keep"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        try:
            result = _result(demo.stdout)
            _all_held(result)
            _every_one_breaks(result)
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait() == 0
    assert (ROOT / ".pgqueue" / "demo-report.pdf").read_bytes().startswith(b"%PDF")


def _result(stdout: IO[str] | None) -> dict[str, Any]:
    """Read what is printed at once; the demo goes on."""
    assert stdout is not None
    lines = []
    for line in stdout:
        lines.append(line)
        if line == "}\n":
            break
    found: dict[str, Any] = json.loads("".join(lines))
    return found


def _all_held(result: dict[str, Any]) -> None:
    broken = [one for part in (*result["scenes"], result) for one in part["checks"] if not one["ok"]]
    assert broken == []
    assert result["ok"]
    assert [scene["number"] for scene in result["scenes"]] == list(range(1, 12))
    assert 100 < result["memory_peak_mib"] <= 1024
    assert result["seconds"] < 200  # other tests run beside it; alone it is far below 90
    assert (result["dead_letters"], result["dead_letters_requeued"]) == (0, 1)


def _every_one_breaks(result: dict[str, Any]) -> None:
    running = result["running"]
    with facts_of(running) as facts:
        spoil(facts, running["database"])
        eventually(lambda: facts.rows("SELECT FROM pgqueue.dead_jobs"))
        again = [one for scene in SCENES for one in scene.verdict(facts)] + check(facts)
    assert [one.name for one in again if one.ok] == []


@pytest.mark.long
def test_one_scene_is_played_alone_and_a_duplicate_on_a_network_ends_it_with_1() -> None:
    cheat = [sys.executable, "-m", "tests.domain.cheating", "--scene", "12"]
    done = subprocess.run(cheat, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "12. Cheating" in done.stdout
    assert "Happy path" not in done.stdout
    assert "✘ no post is on a network twice" in done.stdout
    assert "1 duplicates among 2 posts" in done.stdout
    assert "NOT every check held" in done.stdout


@pytest.mark.long
def test_in_a_storm_every_post_comes_through_once() -> None:
    storm = [sys.executable, "-m", "domain.demo.storm", "--posts", "24", "--json"]
    done = subprocess.run(storm, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert [one for one in result["checks"] if not one["ok"]] == []
    assert (result["posts_on_the_networks"], result["dead_letters_requeued"]) == (29, 1)  # one command for all five
    assert result["kills"] > 0
    assert result["faults"] == 2


def test_an_unknown_scene_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="there is no scene 12; there are 1 to 11"):
        main(scene=[3, 12])


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_demo_leaves_nothing_running(number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = iter(demo.stdout.readline, "")
        next(line for line in lines if "Happy path" in line)
        started = descendants(demo.pid) - {demo.pid}
        assert len(started) > 10  # the supervisor and its workers, the stand-ins, the database server's processes
        demo.send_signal(number)
        rest = "".join(lines)
        code = demo.wait()
    assert "Traceback" not in rest
    if number != signal.SIGKILL:
        assert code == 130
        assert "everything is stopped" in rest
    deadline = time.monotonic() + 20
    while left := [pid for pid in started if is_alive(pid)]:
        assert time.monotonic() < deadline, [command(pid) for pid in left]
        os.sched_yield()


def test_a_demo_removes_the_folders_of_killed_ones_and_no_other(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait()
    names = [f"pgqueue-demo-{gone.pid}-abc", f"pgqueue-demo-{os.getppid()}-abc", "pgqueue-demo-notes", "mine"]
    for name in names:
        (tmp_path / name / "objects").mkdir(parents=True)
    (tmp_path / f"pgqueue-demo-{gone.pid}-link").symlink_to(tmp_path / "mine")
    with own_folder(tmp_path) as own:
        assert own.is_dir()
        left = {each.name for each in tmp_path.iterdir()} - {own.name}
    assert left == {*names[1:], f"pgqueue-demo-{gone.pid}-link"}
    assert not own.exists()


def test_memory_is_what_the_kernel_says() -> None:
    before = held(os.getpid())
    kept = bytearray(os.urandom(1)) * (64 << 20)
    assert 60 << 20 < held(os.getpid()) - before < 80 << 20
    assert len(kept) == 64 << 20
    assert held(1 << 30) == 0
