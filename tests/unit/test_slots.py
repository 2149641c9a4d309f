"""Which job starts next: no clock, no database."""

from __future__ import annotations

from pgqueue.worker.slots import MOST_BUFFERED, Slots
from tests.unit.claims import claimed


def fill(slots: Slots, **jobs: int) -> None:
    made = [claimed(id=number, queue=queue) for queue, count in jobs.items() for number in range(count)]
    slots.put(made, jobs)


def start_all(slots: Slots) -> list[str]:
    started = []
    while job := slots.take():
        started.append(job.queue)
    return started


def test_the_first_queue_fills_the_shared_slots() -> None:
    slots = Slots({"high": None, "low": None}, 5)
    fill(slots, low=9, high=9)
    assert start_all(slots) == ["high"] * 4 + ["low"]


def test_every_queue_keeps_one_slot() -> None:
    slots = Slots({"a": None, "b": None, "c": None}, 4)
    fill(slots, a=9)
    assert start_all(slots) == ["a", "a"]
    fill(slots, c=9)
    assert start_all(slots) == ["c"]
    fill(slots, b=9)
    assert start_all(slots) == ["b"]


def test_there_are_at_least_as_many_slots_as_queues() -> None:
    slots = Slots({"a": None, "b": None, "c": None}, 1)
    assert slots.size == 3
    fill(slots, a=3, b=3, c=3)
    assert start_all(slots) == ["a", "b", "c"]


def test_workers_limits_what_runs_at_once() -> None:
    slots = Slots({"high": 2, "default": None}, 10)
    fill(slots, high=9, default=99)
    assert start_all(slots) == ["high"] * 2 + ["default"] * 8
    slots.free("high")
    assert start_all(slots) == ["high"]


def test_no_more_is_claimed_than_can_start() -> None:
    slots = Slots({"high": 2, "default": None}, 10)
    assert slots.room() == {"high": 2, "default": 8}
    fill(slots, high=2, default=8)
    start_all(slots)
    assert slots.room() == {}
    slots.free("default")
    assert slots.room() == {"default": 1}


def test_an_empty_queue_is_left_alone_until_something_wakes_it() -> None:
    slots = Slots({"a": None, "b": None}, 4)
    slots.put([], slots.room())
    assert slots.room() == {}
    assert slots.idle
    slots.wake("b")
    assert list(slots.room()) == ["b"]
    slots.wake()
    assert list(slots.room()) == ["a", "b"]


def test_fast_jobs_are_claimed_ahead_within_bounds() -> None:
    slots = Slots({"a": None}, 4)
    fill(slots, a=4)
    start_all(slots)
    slots.lanes["a"].done = 1_000_000
    slots.measure(0.05)
    assert slots.room() == {"a": MOST_BUFFERED}


def test_what_was_claimed_ahead_can_be_given_back() -> None:
    slots = Slots({"a": None}, 2)
    fill(slots, a=5)
    start_all(slots)
    assert len(slots.drain()) == 3
    assert slots.take() is None


def test_freeing_keeps_the_books_straight() -> None:
    slots = Slots({"a": 2, "b": None}, 3)
    for _ in range(3):
        fill(slots, a=5, b=5)
        for queue in start_all(slots):
            slots.free(queue)
        slots.drain()
    assert slots.running == 0
    assert all(lane.running == 0 for lane in slots.lanes.values())
    fill(slots, a=1, b=9)
    assert start_all(slots) == ["a", "b", "b"]


def test_a_limit_changes_while_jobs_run() -> None:
    slots = Slots({"a": 4, "b": None}, 6)
    fill(slots, a=9)
    assert start_all(slots) == ["a"] * 4
    slots.limit({"a": 2})
    slots.free("a")
    slots.free("a")
    assert slots.take() is None
    slots.free("a")
    assert start_all(slots) == ["a"]
    slots.limit({"a": 3})
    assert start_all(slots) == ["a"]


def test_a_queue_with_limit_0_is_not_served_and_keeps_no_slot() -> None:
    slots = Slots({"a": None, "b": None}, 4)
    fill(slots, a=9, b=2)
    slots.limit({"a": 0})
    assert slots.served == ["b"]
    assert len(slots.withdraw()) == 9
    assert slots.room() == {"b": 2}
    assert start_all(slots) == ["b", "b"]
    slots.put([], {"b": 2})
    slots.free("b")
    slots.free("b")
    assert slots.idle


def test_a_queue_that_is_served_again_is_asked_for_jobs() -> None:
    slots = Slots({"a": None}, 4)
    slots.put([], slots.room())
    slots.limit({"a": 0})
    assert slots.room() == {}
    slots.limit({"a": None})
    assert slots.room() == {"a": 4}
