"""The project's own text, read for the tests that keep its rules."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CODE = ("pgqueue", "domain", "migrations", "tests", "examples", "benchmarks")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    found = []
    for folder in folders or CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if {".venv", "node_modules"} & set(path.parts[len(ROOT.parts) :]):
                continue  # other people's packages
            text = path.read_text("utf-8")
            found.append(Module(path, text, ast.parse(text, str(path))))
    return tuple(found)


def functions(module: Module) -> Iterator[Function]:
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> int:
    """From `def` to the last line, without the docstring."""
    assert function.end_lineno is not None
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None
    docstring = first.end_lineno - first.lineno + 1 if documented and first.end_lineno else 0
    return function.end_lineno - function.lineno + 1 - docstring


def called(node: ast.Call) -> str:
    """The last name of what is called: `execute` for `session.execute(...)`."""
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every text file of the project (not what Git ignores) with its content."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git from the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:  # an unpacked archive
        paths = [path for folder in CODE for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    found = []
    for path in paths:
        if path.is_file():
            try:
                found.append((str(path.relative_to(ROOT)), path.read_text("utf-8")))
            except UnicodeDecodeError:
                continue  # a picture
    return tuple(found)
