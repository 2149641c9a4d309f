"""The page of traps and the tests that are marked with them say the same."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "traps.md"
_LINK = re.compile(r"\[([^\]]+)\]\(\.\./(tests/[\w/]+\.py)\)")


def on_the_page() -> dict[str, set[str]]:
    rows = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return {
        trap.removeprefix("| "): {f"{file}::test_{name.replace(' ', '_')}" for name, file in _LINK.findall(tests)}
        for trap, _, tests in rows
        if trap != "| trap"
    }


def in_the_tests() -> dict[str, set[str]]:
    found = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for trap in traps_of(node):
                    found[trap].add(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


def traps_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [
        ast.literal_eval(mark.args[0])
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.trap"
    ]


def test_every_trap_of_the_page_has_its_tests_and_every_marked_test_is_on_the_page() -> None:
    page = on_the_page()
    assert len(page) > 70
    assert all(page.values())
    assert page == in_the_tests()
