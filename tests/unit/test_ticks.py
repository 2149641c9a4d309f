"""Whenever a worker looks, no tick is forgotten and none becomes two jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pgqueue.queries.schedules import Coming
from pgqueue.timing import timing
from pgqueue.worker.ticks import GRACE, planned

START = datetime(2026, 3, 28, 12, tzinfo=UTC)  # a day before Europe's clocks change
CRONS = st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 * * * *", "17 */3 * * *", "30 */7 * * * *"])
LOOKS = st.lists(st.timedeltas(timedelta(milliseconds=1), timedelta(hours=7)), min_size=1, max_size=8)


class Entry:
    """An entry's row, moved on as the database would."""

    def __init__(self, **more: Any) -> None:
        self.row = Coming("x", None, START, None, None, "Europe/Warsaw", "once", 1000)._replace(**more)
        self.when = timing(self.row.cron, self.row.every, self.row.time_zone)
        self.fired: list[datetime] = []
        self.on_time = self.missed = 0

    def look(self, now: datetime) -> None:
        while (plan := planned(self.row, now)).at <= now:
            assert now < plan.until
            assert plan.next > now
            self.fired += plan.ticks
            self.on_time += sum(now - tick <= GRACE for tick in plan.ticks)
            self.missed += plan.missed
            self.row = self.row._replace(since=plan.next)

    def ticks(self, until: datetime) -> list[datetime]:
        found, moment = [], self.when.after(START)
        while moment <= until:
            found.append(moment)
            moment = self.when.after(moment)
        return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(CRONS, st.sampled_from(["skip", "once", "all"]), LOOKS)
def test_every_tick_is_a_job_or_counted_as_missed(cron: str, missed: str, looks: list[timedelta]) -> None:
    entry, now = Entry(cron=cron, missed=missed), START
    for wait in looks:
        now += wait
        before = len(entry.fired)
        entry.look(now)
        assert missed == "all" or len(entry.fired) - before <= 1
    every = entry.ticks(now)
    assert sorted(set(entry.fired)) == entry.fired
    assert set(entry.fired) <= set(every)
    assert entry.on_time + entry.missed == len(every)
    if missed == "all":
        assert entry.fired == every
    if missed == "once" and every:
        assert entry.fired[-1] == every[-1]


@settings(deadline=None, derandomize=True)
@given(st.timedeltas(timedelta(), timedelta(hours=30)))
def test_a_plan_made_early_is_the_plan_made_late(early: timedelta) -> None:
    row = Coming("x", START + timedelta(hours=30), START, "0 18 * * *", None, "UTC", "once", 100)
    tick = row.since
    assert tick is not None
    ahead, due = planned(row, min(START + early, tick)), planned(row, tick)
    assert (ahead.ticks, ahead.next, ahead.missed) == (due.ticks, due.next, due.missed)
