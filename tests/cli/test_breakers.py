"""`pgqueue breakers`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from pgqueue import Breakers, CircuitOpen, Settings
from tests.worker.harness import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


@pytest.fixture
def breakers(database_url: str) -> Iterator[Breakers]:
    made = Breakers(Settings(environment={}, database_url=database_url), fail_max=2)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quiet(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nobody set structlog up here: what it says must not stand in the commands' output."""
    with structlog.testing.capture_logs():
        yield


def fail(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError), breakers.calling("stripe", "api"):
            raise ConnectionError("no \x1b[31manswer")


def knows(breakers: Breakers, state: str) -> None:
    def heard() -> bool:
        breakers._refresh_at = 0.0
        return breakers.of("stripe", "api").state == state

    eventually(heard)


def test_an_empty_list_says_so(cli: Cli) -> None:
    assert cli("breakers").out == "no breaker has failed yet\n"


def test_what_is_open_stands_first_and_says_since_when_and_why(cli: Cli, breakers: Breakers, conn: Conn) -> None:
    with pytest.raises(ConnectionError), breakers.calling("a", "well"):
        raise ConnectionError
    fail(breakers, 2)
    found = cli("breakers", "--json").json
    assert [(one["dependency"], one["state"], one["failures"]) for one in found] == [
        ("stripe", "open", 2),
        ("a", "closed", 1),
    ]
    out = cli("breakers").out
    assert "in 2" in out
    assert r"no \x1b[31manswer" in out
    shown = cli("breakers", "show", "stripe", "api", "--json").json
    assert 0 <= shown["open_seconds"] < 20 < shown["left_seconds"] <= 30
    assert "opened_at" in cli("breakers", "show", "stripe", "api").out


def test_a_person_opens_a_breaker_until_it_is_closed(cli: Cli, breakers: Breakers) -> None:
    assert "is open" in cli("breakers", "open", "stripe", "api", "--by", "ann").out
    knows(breakers, "open")
    with pytest.raises(CircuitOpen) as refused, breakers.calling("stripe", "api"):
        pass
    assert refused.value.retry_in == timedelta(seconds=60)
    assert "when closed" in cli("breakers").out
    assert cli("breakers", "close", "stripe", "api", "--by", "bob", "--json").json["state"] == "closed"
    knows(breakers, "closed")
    with breakers.calling("stripe", "api"):
        pass
    acts = [(one["by"], one["verb"], one["target"]) for one in cli("actions", "--json").json]
    assert acts == [("bob", "close", "breaker stripe api"), ("ann", "open", "breaker stripe api")]


def test_a_person_opens_a_breaker_for_a_while(cli: Cli, conn: Conn) -> None:
    cli("breakers", "open", "search", "--for", "10m")
    (one,) = cli("breakers", "--json").json
    assert 500 < one["left_seconds"] <= 600


def test_reset_forgets_a_breaker(cli: Cli, breakers: Breakers) -> None:
    fail(breakers, 2)
    assert cli("breakers", "reset", "stripe", "api").code == 0
    assert cli("breakers", "--json").json == []
    knows(breakers, "closed")


@pytest.mark.parametrize("verb", ["show", "close", "reset"])
def test_a_breaker_that_never_failed_is_not_known(cli: Cli, verb: str) -> None:
    ran = cli("breakers", verb, "stripe", "nowhere")
    assert ran.code == 2
    assert "no breaker 'stripe nowhere'" in ran.err
    assert cli("actions", "--json").json == []


def test_names_and_times_that_cannot_be_are_refused(cli: Cli) -> None:
    assert cli("breakers", "open", "x" * 201).code == 2
    assert cli("breakers", "open", "x" * 200, "y" * 300).code == 0
    assert cli("breakers", "open", "x", "--for", "10").code == 2
