"""The command line, called in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from pgqueue.cli import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli(Protocol):
    """Calls ``pgqueue`` with these words, on the test's database unless told otherwise."""

    def __call__(self, *words: object, url: str | None = ...) -> Ran: ...


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGQUEUE_DATABASE_URL", "PGQUEUE_SCHEMA", "PGQUEUE_APP", "PGQUEUE_POLL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare_cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: object, url: str | None = None) -> Ran:
        argv = [str(word) for word in words]
        code = main([*argv, "--database-url", url] if url else argv)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def cli(bare_cli: Cli, database_url: str) -> Cli:
    def call(*words: object, url: str | None = None) -> Ran:
        return bare_cli(*words, url=url or database_url)

    return call
