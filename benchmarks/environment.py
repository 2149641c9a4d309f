"""The peers' packages, in a virtual environment of their own: they never meet the project's."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
PINS = HERE / "constraints.txt"
_READY = HERE / ".venv" / ".ready"


def pins() -> dict[str, str]:
    """Read which version of which package is measured."""
    lines = (line.partition("#")[0].strip() for line in PINS.read_text().splitlines())
    return dict(line.split("==", 1) for line in lines if line)


def install(say: str) -> dict[str, str]:
    """Make or renew the environment; return the packages that could not be installed, each with the reason."""
    if _READY.exists() and _READY.stat().st_mtime >= PINS.stat().st_mtime:
        return dict(line.split("\t", 1) for line in _READY.read_text().splitlines())
    sys.stderr.write(say + "\n")
    venv.create(HERE / ".venv", with_pip=True, clear=True)
    failed: dict[str, str] = {}
    everything = [f"{name}=={version}" for name, version in pins().items()]
    if _pip(everything):  # one of them fails: leave out only those that fail alone
        for line in everything:
            if reason := _pip([line, "--no-deps"]):
                failed[line.split("==")[0]] = reason
    _READY.write_text("".join(f"{name}\t{reason}\n" for name, reason in failed.items()))
    return failed


def _pip(arguments: list[str]) -> str:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own list of pins
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
