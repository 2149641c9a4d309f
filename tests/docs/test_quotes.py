"""What the texts quote is there, and what they link to exists."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from pgqueue.cli.root import app
from tests.docs.pages import PAGES, ROOT, Block, blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = [
    path.read_text("utf-8")
    for path in (*sorted((ROOT / "examples").rglob("*")), ROOT / "domain/pgqueue.toml")
    if path.suffix in {".py", ".ini", ".toml"}
]


def quoted_elsewhere(block: Block) -> bool:
    """The SQL page's own test executes what stands there."""
    return block.page == "docs/triage.md"


@pytest.mark.parametrize(
    "block", [b for b in blocks("python") + blocks("ini") + blocks("toml") if not quoted_elsewhere(b)], ids=str
)
def test_every_block_of_code_is_a_quote_of_a_file_that_runs(block: Block) -> None:
    assert any(block.text in source for source in SOURCES), f"{block} is in no file of examples/:\n{block.text}"


@pytest.mark.parametrize("line", commands("pgqueue"))
def test_every_pgqueue_command_that_is_shown_exists_with_its_flags(line: str) -> None:
    words = shlex.split(line)[1:]
    names = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
    answer = CliRunner(env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}).invoke(app, [*names, "--help"])
    assert answer.exit_code == 0, answer.output
    shown = answer.output + CliRunner(env={"COLUMNS": "300"}).invoke(app, ["--help"]).output
    for flag in (word for word in words if word.startswith("--")):
        assert flag in shown, f"{line}: there is no {flag}"


@pytest.mark.parametrize("line", commands("make"))
def test_every_make_target_that_is_shown_exists(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("line", commands("python"))
def test_every_module_that_is_shown_to_be_run_is_there_with_its_flags(line: str) -> None:
    words = shlex.split(line)[1:]
    if words[0] == "-m" and words[1].startswith("domain."):
        source = find_spec(words[1])
        assert source is not None
        program = find_spec(f"{words[1]}.__main__") if source.submodule_search_locations else source
        assert program is not None
        text = (ROOT / str(program.origin)).read_text("utf-8")
        for flag in (word.removeprefix("--") for word in words if word.startswith("--")):
            assert re.search(rf"\b{flag.replace('-', '_')}\b", text), f"{line}: there is no --{flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} does not exist"


def test_the_promises_stand_in_the_same_words_in_both_places() -> None:
    readme, concepts = (
        re.findall(r"^## The promises\n.*?data\.$", (ROOT / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for name in ("README.md", "docs/concepts.md")
    )
    assert len(readme) == 1
    assert readme == concepts


def test_the_source_document_is_kept() -> None:
    text = (ROOT / "docs/source/job-architecture.pt.md").read_text("utf-8")
    assert "job_processing_duration_seconds" in text
    assert "Contexto Obrigatório" in text
