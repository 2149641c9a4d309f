"""The contracts about imports are kept by `lint-imports`; here they are broken on purpose, in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Where a line is added that breaks the contract of this name.
BROKEN = {
    "a job starts a use case and does nothing else": (
        "jobs/media.py",
        "import domain.use_cases.media.scanning",
        "domain.jobs.media -> domain.use_cases.media.scanning",
    ),
    "a controller calls use cases and never creates jobs": (
        "http/shapes.py",
        "import domain.jobs.media",
        "domain.http.shapes -> domain.jobs.media",
    ),
    "a listener dispatches and does nothing else": (
        "listeners/media.py",
        "import domain.models.content",
        "domain.listeners.media -> domain.models.content",
    ),
    "only gateways call the outside world": (
        "use_cases/clock.py",
        "import httpx",
        "domain.use_cases.clock -> httpx",
    ),
    "domain: upper layers import lower ones": (
        "models/content.py",
        "import domain.gateways.tids",
        "domain.models.content -> domain.gateways.tids",
    ),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `lint-imports` says of a copy in which every contract is broken."""
    folder: Path = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "domain", folder / "domain", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, line, _ in BROKEN.values():
        with (folder / "domain" / name).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    lint = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache', '--no-logo'])"
    ran = subprocess.run(
        [sys.executable, "-c", lint],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("contract", BROKEN)
def test_an_import_that_breaks_a_contract_is_named_with_its_line(told: str, contract: str) -> None:
    name, line, arrow = BROKEN[contract]
    number = len((ROOT / "domain" / name).read_text("utf-8").splitlines()) + 2
    assert f"{contract} BROKEN" in told
    assert f"{arrow} (l.{number})" in told, line
