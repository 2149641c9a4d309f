"""Circuit breakers when something is killed, cancelled, hangs or is away; and the jobs that wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pgqueue import CircuitOpen, Job, JobContext
from pgqueue.errors import ConfigurationError
from tests.guards.circuits import NAME, call, fail, is_due, knows, let_time_pass, process, row
from tests.sql.client import advance_clock
from tests.worker.harness import Box, eventually, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue import Breaker
    from tests.guards.circuits import Conn, Make
    from tests.worker.harness import Hall


def test_a_killed_prober_blocks_for_its_time_and_no_longer(make: Make, conn: Conn, database_url: str) -> None:
    fail(make().of(*NAME), 3)
    advance_clock(conn, timedelta(seconds=31))
    with process(database_url, "hold") as prober:
        assert prober.stdout is not None
        assert prober.stdout.readline() == "called\n"
        prober.kill()
    with pytest.raises(CircuitOpen):
        call(knows(make(), "half_open"))
    advance_clock(conn, timedelta(seconds=31 + 61))
    call(knows(make(), "half_open"))
    assert row(conn) == ("closed", 0)


def test_a_prober_that_lost_its_probe_decides_nothing(make: Make, conn: Conn) -> None:
    breakers = make(probe_timeout="5s")
    breaker = breakers.of(*NAME)
    fail(breaker, 3)
    let_time_pass(conn, breakers, 31)
    eventually(lambda: is_due(breaker))
    with breaker.calling():
        advance_clock(conn, timedelta(seconds=31 + 6))
        other = knows(make(), "half_open")
        fail(other)
    assert row(conn) == ("open", 3)


def test_a_cancelled_call_tells_nothing(make: Make, conn: Conn) -> None:
    breakers = make()
    breaker = breakers.of(*NAME)
    fail(breaker, 5, asyncio.CancelledError)
    assert row(conn) is None
    fail(breaker, 3)
    let_time_pass(conn, breakers, 31)
    eventually(lambda: is_due(breaker))
    fail(breaker, 1, asyncio.CancelledError)
    assert row(conn) == ("open", 3)
    call(breaker)
    assert row(conn) == ("closed", 0)


def test_calls_on_a_closed_breaker_send_no_statement_each(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    breakers = make()
    sent: list[object] = []
    send = breakers._side.send

    def counted(query: Any) -> Any:
        sent.append(query)
        return send(query)

    monkeypatch.setattr(breakers._side, "send", counted)
    breaker = breakers.of(*NAME)
    began = time.monotonic()
    for _ in range(1000):
        call(breaker)
    assert len(sent) <= 1 + int(time.monotonic() - began)


@pytest.mark.anyio
async def test_a_burst_of_concurrent_calls_works_around_await(make: Make, anyio_backend: str) -> None:
    breaker = make().of(*NAME)
    together = asyncio.Barrier(50)

    async def one() -> None:
        with breaker.calling():
            await together.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(one() for _ in range(50)))


def test_without_a_database_each_process_decides_by_itself(make: Make) -> None:
    for url in (None, "postgresql://nobody@127.0.0.1:1/nothing"):
        breakers = make(url, reset_timeout="200ms")
        breaker = breakers.of(*NAME)
        fail(breaker, 3)
        with pytest.raises(CircuitOpen):
            call(breaker)
        eventually(partial(is_due, breaker))
        fail(breaker)
        eventually(partial(is_due, breaker))
        with breaker.calling(), pytest.raises(CircuitOpen):
            call(breaker)
        call(breaker)


def test_a_database_that_hangs_delays_a_failure_once_and_never_fails_a_call(
    make: Make, conn: Conn, database_url: str
) -> None:
    breaker = make().of(*NAME)
    fail(breaker)
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE pgqueue.breakers")
        fail(breaker, 2)
        with pytest.raises(CircuitOpen):
            call(breaker)
        holder.rollback()
    eventually(lambda: conn.execute("SELECT FROM pgqueue.breakers").fetchone() is not None)


def test_a_lost_connection_is_replaced(make: Make, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgqueue.breakers.side._AWAY", 0.0)
    breaker = make().of(*NAME)
    fail(breaker)
    conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgqueue breakers'")
    fail(breaker)
    fail(breaker)
    assert row(conn) == ("closed", 2)


def test_what_stands_in_the_callers_transaction_stays_out_of_it(make: Make, conn: Conn, database_url: str) -> None:
    breaker = make().of(*NAME)
    with psycopg.connect(database_url) as caller, contextlib.suppress(ConnectionError):
        caller.execute("SELECT 1")
        with breaker.calling():
            raise ConnectionError("no answer")
    assert row(conn) == ("closed", 1)


@pytest.mark.parametrize("options", [{"fail_max": 0}, {"reset_timeout": "0s"}, {"probe_timeout": "0s"}])
def test_a_breaker_that_cannot_work_is_refused(make: Make, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        make(**options)


@pytest.mark.parametrize("name", [("", ""), ("x" * 201, ""), ("x", "y" * 301), ("x", "\x00")])
def test_a_name_that_cannot_be_stored_is_refused(make: Make, name: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="1 to 200 characters"):
        make().of(*name)


class Charge(Job):
    async def run(self, app: Callable[[], None], ctx: JobContext) -> None:
        app()


@pytest.mark.anyio
async def test_an_open_breaker_spends_no_attempt_and_the_job_runs_after_the_reset(
    make: Make, hall: Hall, conn: Conn
) -> None:
    breakers = make(fail_max=1)
    breaker = breakers.of(*NAME)
    fail(breaker)
    hall.serve(Charge, handle=Box(lambda: call(breaker)))
    job_id = await hall.run_one(Charge())
    assert (hall.state(job_id), hall.job(job_id, "attempt")) == ("waiting", 0)
    assert 20 < hall.wait_of(job_id) <= 33
    let_time_pass(conn, breakers, 34)
    await until(lambda: is_due(breaker))
    await hall.work_off()
    assert hall.state(job_id) == "completed"
    assert row(conn) == ("closed", 0)


@pytest.mark.anyio
async def test_waiting_for_a_circuit_is_bounded_by_max_age(make: Make, hall: Hall, conn: Conn) -> None:
    breaker = make(fail_max=1, reset_timeout="8d").of(*NAME)
    fail(breaker)
    hall.serve(Charge, handle=Box(lambda: call(breaker)))
    job_id = await hall.run_one(Charge())
    assert hall.dead(job_id, "reason") == "expired"


class Slow(Job, timeout="200ms"):
    async def run(self, app: Breaker, ctx: JobContext) -> None:
        with app.calling():
            await asyncio.Event().wait()


@pytest.mark.anyio
async def test_a_call_that_uses_up_its_jobs_time_is_a_failure(make: Make, hall: Hall, conn: Conn) -> None:
    breaker = make().of(*NAME)
    hall.serve(Slow, handle=Box(breaker))
    await hall.run_one(Slow())
    assert row(conn) == ("closed", 1)
