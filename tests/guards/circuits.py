"""What the tests of circuit breakers say in one word."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.client import advance_clock
from tests.worker.harness import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from pgqueue import Breaker, Breakers

    Conn = psycopg.Connection[tuple[Any, ...]]
    Make = Callable[..., Breakers]

ROOT = Path(__file__).parents[2]
NAME = ("stripe", "api")


def fail(breaker: Breaker, times: int = 1, error: type[BaseException] = ConnectionError) -> None:
    for _ in range(times):
        with pytest.raises(error), breaker.calling():
            raise error("no answer")


def call(breaker: Breaker) -> None:
    with breaker.calling():
        pass


def row(conn: Conn, columns: str = "state, failures") -> tuple[Any, ...] | None:
    return conn.execute(f"SELECT {columns} FROM pgqueue.breakers WHERE (dependency, host) = (%s, %s)", NAME).fetchone()


def let_time_pass(conn: Conn, breakers: Breakers, seconds: float) -> None:
    """Move the database's clock; what the process has read before is old by then."""
    advance_clock(conn, timedelta(seconds=seconds))
    breakers._refresh_at = 0.0


def knows(breakers: Breakers, state: str) -> Breaker:
    """Wait until this process has heard of the state."""
    breaker = breakers.of(*NAME)

    def heard() -> bool:
        breakers._refresh_at = 0.0
        return breaker.state == state

    eventually(heard)
    return breaker


def is_due(breaker: Breaker) -> bool:
    """This process knows that the time has come to probe."""
    state = breaker.state
    return state == "open" and breaker.view.until is not None and time.monotonic() >= breaker.view.until


def process(url: str, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.guards.prober", url, what]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
