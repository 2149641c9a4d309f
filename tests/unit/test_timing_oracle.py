"""When entries are due, in all zones at all clock changes: against a slow oracle that walks the minutes."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgqueue.timing import Cron

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE, SPAN = timedelta(minutes=1), timedelta(days=8)  # no zone changes twice within eight days
BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
BEFORE, BEHIND = timedelta(hours=3), timedelta(hours=4)
# fixed times, on the hour and off it; steps; steps within an hour; ranges; days; several times in the hour that goes
SHAPES = (
    "30 2 * * *",
    "0 0 * * *",
    "15,45 1,2,3 * * *",
    "*/15 * * * *",
    "*/20 1-3 * * *",
    "0 * * * *",
    "5 */2 * * *",
    "30 1-4 * * 0",
    "59 23 28-31 * *",
    "0-59/7 0,1,2,3 1-31 * *",
    # hours that half an hour's change repeats in part
    "* 2 * * *",
    "*/10 1,2 * * *",
)


# ── the oracle: no arithmetic, it looks at the clock of each minute ───────────────────────────────────────────


def field(text: str, low: int, high: int) -> set[int]:
    """The numbers of one field."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start, end = (low, high) if span == "*" else (int(first), int(last or (high if step else first)))
        found |= set(range(start, end + 1, int(step or 1)))
    return found


@cache
def fields(expression: str) -> tuple[set[int], ...]:
    limits = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    return tuple(field(text, *limit) for text, limit in zip(expression.split(), limits, strict=True))


@cache
def day_fits(expression: str, day: date) -> bool:
    """Day of month and weekday: both if one of them begins with a star, else either."""
    _, _, days, months, weekdays = fields(expression)
    by_month, by_week = day.day in days, bool({day.isoweekday(), day.isoweekday() % 7} & weekdays)
    _, _, dom, _, dow = expression.split()
    fits = by_month and by_week if dom.startswith("*") or dow.startswith("*") else by_month or by_week
    return day.month in months and fits


def fits(expression: str, wall: datetime) -> bool:
    minutes, hours, *_ = fields(expression)
    return wall.minute in minutes and wall.hour in hours and day_fits(expression, wall.date())


def walk(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every run after ``start`` and not after ``end``, found by looking at each minute."""
    minute, hour, *_ = expression.split()
    fixed = not minute.startswith("*") and not hour.startswith("*")
    moment, highest = start, start.astimezone(zone).replace(tzinfo=None)
    while moment < end:
        moment += MINUTE
        wall = moment.astimezone(zone).replace(tzinfo=None)
        if not fixed:
            if fits(expression, wall):
                yield moment
        elif wall > highest:  # the clock shows new times, and passes those that it jumps over
            passed_walls = (highest + n * MINUTE for n in range(1, (wall - highest) // MINUTE + 1))
            if any(fits(expression, one) for one in passed_walls):
                yield moment
            highest = wall


def runs(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found, moment = [], cron.after(start)
    while moment <= end:
        found.append(moment)
        moment = cron.after(moment)
    return found


# ── all zones, all changes ────────────────────────────────────────────────────────────────────────────────────


def changes(zone: ZoneInfo) -> tuple[datetime, ...]:
    """Every minute from 2020 to 2035 at which the zone's offset becomes another."""
    found, moment, offset = [], BEGIN, BEGIN.astimezone(zone).utcoffset()
    while moment < END:
        following = moment + SPAN
        if following.astimezone(zone).utcoffset() != offset:
            low, high = 0, SPAN // MINUTE
            while high - low > 1:
                middle = (low + high) // 2
                same = (moment + middle * MINUTE).astimezone(zone).utcoffset() == offset
                low, high = (middle, high) if same else (low, middle)
            found.append(moment + high * MINUTE)
            offset = following.astimezone(zone).utcoffset()
        moment = following
    return tuple(found)


@cache
def zones() -> dict[str, tuple[datetime, ...]]:
    """One zone of each behaviour that has changes; there are many names for the same clock."""
    found: dict[tuple[object, ...], str] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        if found_changes := changes(zone):
            clock = (*found_changes, *(one.astimezone(zone).utcoffset() for one in found_changes))
            found.setdefault(clock, name)
    return {name: clock[: len(clock) // 2] for clock, name in found.items()}  # type: ignore[misc]  # moments, then offsets


def test_every_change_of_every_zone_agrees_with_the_oracle() -> None:
    known = zones()
    assert len(known) > 30
    chance = random.Random(20200101)  # noqa: S311 - a fixed choice, guards nothing
    looked_at = 0
    for name, moments in known.items():
        for change in moments:
            expression = chance.choice(SHAPES)
            cron = Cron(expression, name)
            start, end = change - BEFORE, change + BEHIND
            expected = list(walk(expression, cron.zone, start, end))
            assert runs(cron, start, end) == expected, f"{expression} in {name} around {change}"
            looked_at += 1
    assert looked_at > 500


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        one.map(str),
        st.lists(one, min_size=2, max_size=4, unique=True).map(lambda found: ",".join(map(str, found))),
        st.tuples(one, one).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(2, 30).map(lambda step: f"*/{step}"),
    )


EXPRESSIONS = st.tuples(numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12), numbers(0, 7)).map(" ".join)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(EXPRESSIONS, st.data())
def test_any_expression_in_any_zone_agrees_with_the_oracle(expression: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(zones())))
    change = data.draw(st.sampled_from(zones()[name]))
    start = change - BEFORE + data.draw(st.integers(0, 300)) * MINUTE
    cron = Cron(expression, name)
    assert runs(cron, start, start + BEHIND) == list(walk(expression, cron.zone, start, start + BEHIND))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(SHAPES), st.timedeltas(timedelta(), END - BEGIN), st.data())
def test_the_next_run_lies_ahead_and_none_lies_between(expression: str, into: timedelta, data: st.DataObject) -> None:
    moment = BEGIN + into
    cron = Cron(expression, data.draw(st.sampled_from(sorted(zones()))))
    following = cron.after(moment)
    assert moment < following
    between = moment + (following - moment) * data.draw(st.floats(0, 0.999))
    assert cron.after(between) == following
