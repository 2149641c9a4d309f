"""Every line of the architecture document is on the page that says what became of it."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from domain.app import app
from domain.jobs import JOBS
from tests.docs.pages import ROOT
from tests.docs.units import Unit, units

PAGE = ROOT / "docs" / "mapping.md"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def rows() -> dict[Unit, tuple[str, str]]:
    found: dict[Unit, tuple[str, str]] = {}
    heading = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
            found[Unit(heading, "")] = "", ""
        elif line.startswith("| ") and not line.startswith("| document "):
            text, where, tests = line.removeprefix("| ").removesuffix(" |").split(" | ")
            found[Unit(heading, text)] = where, tests
    return found


LINES = [pytest.param(*row, id=unit.text[:40]) for unit, row in rows().items() if unit.text]


def test_the_page_has_every_line_of_the_document_in_its_order() -> None:
    assert list(rows()) == units()
    assert len(LINES) > 80


@pytest.mark.parametrize(("where", "tests"), LINES)
def test_a_line_names_a_place_and_tests_that_exist(where: str, tests: str) -> None:
    assert where
    named = _LINK.findall(tests)
    assert named
    for words, path in named:
        assert f"test_{words.replace(' ', '_')}" in functions_of(PAGE.parent / path)


@pytest.mark.parametrize("job", [job for job in JOBS if f"`{job.__name__}`" in PAGE.read_text("utf-8")])
def test_a_job_is_mapped_to_its_class_and_its_use_case(job: type) -> None:
    [where] = [row[0] for unit, row in rows().items() if unit.text.startswith(f"`{job.__name__}` ·")]
    links = dict(_LINK.findall(where))
    assert (PAGE.parent / links["the job"]).resolve() == Path(inspect.getfile(job))
    [described] = [row for row in app.describe() if row["kind"] == job.__name__]
    assert {f"`{name}`" for name in described["use_case"].split(" or ")} <= set(links)


def test_the_document_and_the_application_have_the_same_jobs() -> None:
    in_the_document = {unit.text.split("`")[1] for unit in units() if re.match(r"`\w+Job` ·", unit.text)}
    assert len(in_the_document) == 23
    assert in_the_document <= {job.__name__ for job in JOBS}


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
