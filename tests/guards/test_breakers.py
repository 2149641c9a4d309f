"""Circuit breakers that processes share: every process, thread and connection here is a real one."""

from __future__ import annotations

import pickle
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import CircuitOpen
from tests.guards.circuits import NAME, call, fail, is_due, knows, let_time_pass, process, row
from tests.sql.client import advance_clock
from tests.worker.harness import eventually

if TYPE_CHECKING:
    from pgqueue import Breaker
    from tests.guards.circuits import Conn, Make


class Refused(Exception):
    """An answer: the other side works."""


def test_failures_in_a_row_open_the_circuit_and_nothing_more_is_sent(make: Make, conn: Conn) -> None:
    breaker = make().of(*NAME)
    fail(breaker, 3)
    assert row(conn, "state, failures, last_error") == ("open", 3, "ConnectionError: no answer")
    with pytest.raises(CircuitOpen, match="stripe at api fails: nothing was sent") as refused, breaker.calling():
        pytest.fail("it was called")
    assert timedelta(seconds=25) < refused.value.retry_in <= timedelta(seconds=30)
    assert refused.value.breaker == NAME
    copied = pickle.loads(pickle.dumps(refused.value))  # noqa: S301 - a job may have run in another process
    assert (copied.retry_in, copied.breaker) == (refused.value.retry_in, NAME)


def test_the_failure_that_opens_the_circuit_is_the_one_that_is_seen(make: Make) -> None:
    breaker = make(fail_max=1).of(*NAME)
    with pytest.raises(ConnectionError) as seen, breaker.calling():
        raise ConnectionError("refused")
    assert not any("pybreaker" in str(entry.path) for entry in seen.traceback)


def test_failures_are_counted_over_processes(make: Make, conn: Conn) -> None:
    one, other = make().of(*NAME), make().of(*NAME)
    fail(one, 2)
    fail(other)
    assert row(conn) == ("open", 3)
    knows(one._owner, "open")


def test_a_success_begins_the_count_anew_in_everyprocess(make: Make, conn: Conn) -> None:
    one, other = make(), make().of(*NAME)
    fail(other, 2)
    breaker = one.of(*NAME)

    def heard() -> bool:
        one._refresh_at = 0.0
        return bool(breaker.state and breaker.view.failures)

    eventually(heard)
    call(breaker)
    assert row(conn) == ("closed", 0)
    fail(other, 2)
    assert row(conn) == ("closed", 2)


def test_two_processes_share_the_state(make: Make, conn: Conn, database_url: str) -> None:
    for _ in range(3):
        assert process(database_url, "fail").communicate(timeout=30)[0].endswith("failed\n")
    assert row(conn) == ("open", 3)
    knows(make(), "open")


def test_one_host_does_not_cost_the_calls_to_another(make: Make) -> None:
    breakers = make()
    fail(breakers.of(*NAME), 3)
    call(breakers.of("stripe", "eu"))
    call(breakers.of("paypal", "api"))


@pytest.mark.parametrize("exclude", [Refused, lambda error: isinstance(error, Refused)])
def test_answers_never_trip(make: Make, conn: Conn, exclude: Any) -> None:
    breaker = make(exclude=[exclude]).of(*NAME)
    fail(breaker, 5, Refused)
    assert row(conn) is None
    fail(breaker, 2)
    fail(breaker, 1, Refused)
    assert row(conn) == ("closed", 0)


def test_a_probe_closes_the_circuit(make: Make, conn: Conn) -> None:
    breakers = make()
    breaker = breakers.of(*NAME)
    fail(breaker, 3)
    let_time_pass(conn, breakers, 31)
    eventually(lambda: is_due(breaker))
    with breaker.calling():
        assert row(conn) == ("half_open", 3)
    assert row(conn) == ("closed", 0)
    call(breaker)


def test_a_probe_that_fails_opens_it_for_another_while_and_counts_from_the_first(make: Make, conn: Conn) -> None:
    breakers = make()
    breaker = breakers.of(*NAME)
    fail(breaker, 3)
    since = row(conn, "opened_at")
    let_time_pass(conn, breakers, 31)
    eventually(lambda: is_due(breaker))
    fail(breaker)
    assert row(conn) == ("open", 3)
    assert row(conn, "opened_at") == since
    with pytest.raises(CircuitOpen):
        call(breaker)


def test_one_probe_among_threads_of_several_processes(make: Make, conn: Conn) -> None:
    fail(make().of(*NAME), 3)
    advance_clock(conn, timedelta(seconds=31))
    breakers = [knows(make(), "open") for _ in range(4)]
    gate, called, refused, done = threading.Barrier(8), [], [], threading.Event()

    def work(breaker: Breaker) -> None:
        gate.wait(20)
        try:
            with breaker.calling():
                called.append(breaker)
                done.wait(20)
        except CircuitOpen as error:
            refused.append(error)
        if len(refused) == 7:
            done.set()

    threads = [threading.Thread(target=work, args=(breakers[n % 4],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(called) == 1
    assert len(refused) == 7
    assert all(error.retry_in <= timedelta(seconds=5) for error in refused)
    assert row(conn) == ("closed", 0)
