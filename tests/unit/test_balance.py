"""Who gets how many processes, and how much of a queue: pure functions, held to their properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import Settings
from pgqueue.queries.supervision import Orders
from pgqueue.worker.balance import Held, Pool, evenly, grants, quotas, rebalanced, shares
from pgqueue.worker.plan import Paces, Plan, loads

LOADS = st.one_of(st.just(0.0), st.floats(min_value=0.001, max_value=1e6))


@st.composite
def hosts(draw: st.DrawFn) -> tuple[list[Pool], int, int]:
    """Pools in a state that a supervisor can be in, the least of each, the most of all."""
    count = draw(st.integers(1, 6))
    least = draw(st.integers(1, 3))
    most = draw(st.integers(count * least, count * least + 12))
    pools = [
        Pool(draw(st.integers(0, most)), draw(LOADS), draw(st.one_of(st.integers(1, 8), st.just(1 << 30))))
        for _ in range(count)
    ]
    return pools, least, most


def settled(pools: list[Pool], least: int, most: int) -> list[int]:
    """Move until nothing moves."""
    for _ in range(500):
        counts = rebalanced(pools, least=least, most=most)
        if counts == [pool.processes for pool in pools]:
            return counts
        pools = [pool._replace(processes=count) for pool, count in zip(pools, counts, strict=True)]
    raise AssertionError("it never comes to rest")


@given(hosts())
def test_constant_load_comes_to_rest_within_the_bounds(host: tuple[list[Pool], int, int]) -> None:
    pools, least, most = host
    counts = settled(pools, least, most)
    assert sum(counts) <= most
    assert all(count >= least for count in counts)
    assert all(
        abs(count - quota) < 1.3 for count, quota in zip(counts, quotas(pools, least=least, most=most), strict=True)
    )


@given(hosts())
def test_one_process_moves_at_a_time(host: tuple[list[Pool], int, int]) -> None:
    pools, least, most = host
    before = [pool.processes for pool in pools]
    changes = [
        new - old for old, new in zip(before, rebalanced(pools, least=least, most=most), strict=True) if new != old
    ]
    assert changes in ([], [1], [-1], [1, -1], [-1, 1])
    if sum(before) <= most:
        assert sum(before) + sum(changes) <= most


@given(hosts())
def test_a_pool_never_falls_below_the_least(host: tuple[list[Pool], int, int]) -> None:
    pools, least, most = host
    counts = rebalanced(pools, least=least, most=most)
    for pool, count in zip(pools, counts, strict=True):
        assert count >= min(pool.processes, least)


def test_the_loaded_queue_gets_what_the_others_need_not_have() -> None:
    pools = [Pool(1, 90.0, 100), Pool(3, 0.0, 100), Pool(1, 0.0, 100)]
    assert rebalanced(pools, least=1, most=5) == [2, 2, 1]
    assert settled(pools, 1, 5) == [3, 1, 1]


def test_without_load_every_pool_goes_back_to_the_least() -> None:
    assert settled([Pool(4, 0.0, 100), Pool(1, 0.0, 100)], 1, 5) == [1, 1]


def test_no_more_processes_than_could_have_a_job() -> None:
    assert settled([Pool(1, 90.0, 2), Pool(1, 1.0, 100)], 1, 6) == [2, 4]


def test_two_pools_that_want_the_same_do_not_swing() -> None:
    assert sorted(settled([Pool(1, 5.0, 100), Pool(1, 5.0, 100)], 1, 3)) == [1, 2]


@pytest.mark.parametrize(("processes", "pools", "parts"), [(7, 3, [3, 2, 2]), (3, 3, [1, 1, 1]), (1, 1, [1])])
def test_processes_are_divided_evenly(processes: int, pools: int, parts: list[int]) -> None:
    assert evenly(processes, pools) == parts


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 9))
def test_shares_of_a_queue_sum_up_to_its_workers(workers: int, processes: int, turn: int) -> None:
    found = shares(workers, processes, turn)
    assert sum(found) == workers
    assert max(found) - min(found) <= 1


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
)
def test_what_is_told_never_lets_a_host_run_more(workers: int, drawn: list[tuple[int, int, int]]) -> None:
    holders = [Held(target, granted, max(used, granted)) for target, granted, used in drawn]
    before = sum(held.used for held in holders)
    told = grants(workers, holders)
    # Until a process has said that it follows, it may go on using what it had.
    after = sum(max(limit, held.used) for limit, held in zip(told, holders, strict=True))
    assert after <= max(workers, before)
    assert all(limit <= held.target for limit, held in zip(told, holders, strict=True))


def test_what_one_process_lets_go_another_gets() -> None:
    assert grants(3, [Held(1, 3, 3), Held(2, 0, 0)]) == [1, 0]
    assert grants(3, [Held(1, 1, 2), Held(2, 0, 0)]) == [1, 1]
    assert grants(3, [Held(1, 1, 1), Held(2, 1, 1)]) == [1, 2]


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plan(**supervise: object) -> Plan:
    queues = {"a": {"priority": "high", "workers": 2}, "b": {}, "c": {"priority": "low"}}
    settings = Settings(environment={}, queues=queues, supervise=supervise)
    return Plan(settings, settings.queues)


def test_without_balance_every_process_serves_all_queues() -> None:
    assert plan(max_processes=3).groups == [("a", "b", "c")]
    assert plan(max_processes=3).first() == [3]


def test_simple_divides_processes_over_queues_or_groups() -> None:
    assert plan(balance="simple", max_processes=4).first() == [2, 1, 1]
    grouped = plan(balance="simple", max_processes=3, groups=[["a"], ["b", "c"]])
    assert (grouped.groups, grouped.first()) == ([("a",), ("b", "c")], [2, 1])


def test_a_number_of_processes_set_at_run_time_goes_over_the_settings() -> None:
    assert plan(max_processes=3).next([3], Orders(None, {}, 5), []) == [5]
    assert plan(balance="simple", max_processes=4).next([2, 1, 1], Orders(None, {}, 2), []) == [1, 1, 1]


def test_a_flag_goes_over_the_number_set_at_run_time() -> None:
    settings = Settings(environment={}).changed(supervise={"max_processes": 3})
    assert Plan(settings, settings.queues).next([3], Orders(None, {}, 5), []) == [3]


def test_load_is_the_time_to_clear_a_queue() -> None:
    paces = Paces()
    paces.hear({1: {"a": (10, 5.0), "b": (10, 100.0)}})
    assert loads(plan(balance="auto", max_processes=9), paces, {"a": 8, "b": 3}, {"b": 1}) == [4.0, 40.0, 0.0]
    sized = plan(balance="auto", max_processes=9, strategy="size")
    assert loads(sized, paces, {"a": 8, "b": 3}, {"b": 1}) == [8.0, 4.0, 0.0]


def test_work_of_less_than_a_second_moves_nothing() -> None:
    paces = Paces()
    paces.hear({1: {"a": (1000, 1.0)}})
    assert loads(plan(balance="auto", max_processes=9), paces, {"a": 900}, {}) == [0.0, 0.0, 0.0]


def test_nothing_moves_while_the_loads_are_not_known() -> None:
    auto = plan(balance="auto", max_processes=9)
    assert auto.next([1, 1, 1], None, loads(auto, Paces(), None, {})) == [1, 1, 1]
