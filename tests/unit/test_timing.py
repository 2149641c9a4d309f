"""When entries are due: the rule for clock changes case by case, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgqueue.errors import ConfigurationError
from pgqueue.timing import COUNTED, NEVER, Cron, Every, passed, timing

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def runs(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found, moment = [], cron.after(start)
    while moment <= end:
        found.append(moment)
        moment = cron.after(moment)
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "day", "expected"),
    [
        # New York springs from 2:00 to 3:00 on 2026-03-08, at 7:00 UTC
        pytest.param("30 2 * * *", "America/New_York", "2026-03-08", ["07:00"], id="skipped, at the jump"),
        pytest.param("0,30 2 * * *", "America/New_York", "2026-03-08", ["07:00"], id="two skipped, one run"),
        pytest.param("0 2,3 * * *", "America/New_York", "2026-03-08", ["07:00"], id="skipped and the jump, one run"),
        pytest.param("*/30 2 * * *", "America/New_York", "2026-03-08", [], id="a star, skipped, no run"),
        # and falls from 2:00 back to 1:00 on 2026-11-01, at 6:00 UTC
        pytest.param("30 1 * * *", "America/New_York", "2026-11-01", ["05:30"], id="repeated, the first one"),
        pytest.param(
            "30 * * * *", "America/New_York", "2026-11-01", ["04:30", "05:30", "06:30"], id="a star, repeated, twice"
        ),
        # Lord Howe moves by half an hour: 2:00 to 2:30 on 2026-10-04, at 15:30 UTC of the day before
        pytest.param("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["15:30"], id="half an hour skipped"),
        # Kiritimati, the first place to see a day
        pytest.param("0 0 * * *", "Pacific/Kiritimati", "2026-03-08", ["10:00"], id="UTC+14"),
    ],
)
def test_the_rule_for_clock_changes(expression: str, zone: str, day: str, expected: list[str]) -> None:
    cron = Cron(expression, zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=cron.zone)
    start = midnight.astimezone(UTC) - timedelta(seconds=1)
    end = (midnight + timedelta(hours=3, minutes=1)).astimezone(UTC)
    assert [
        f"{run:%H:%M}" for run in runs(cron, start, end) if expected == [] or f"{run:%H:%M}" in expected
    ] == expected


def test_six_fields_begin_with_the_second() -> None:
    cron = Cron("*/20 30 2 * * *", "America/New_York")
    ordinary = datetime(2026, 3, 7, 7, 0, tzinfo=UTC)
    assert [f"{run:%H:%M:%S}" for run in runs(cron, ordinary, ordinary + timedelta(hours=1))] == [
        "07:30:00",
        "07:30:20",
        "07:30:40",
    ]
    skipped = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)
    assert runs(cron, skipped, skipped + timedelta(hours=4)) == [datetime(2026, 3, 8, 7, tzinfo=UTC)]


def test_a_leap_day_that_is_a_fifth_monday_is_found_decades_ahead() -> None:
    assert Cron("0 0 * 2 MON#5").after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2044, 2, 29, tzinfo=UTC)


def test_every_counts_from_the_epoch_so_that_all_agree() -> None:
    every = Every(timedelta(seconds=10))
    start = datetime(2026, 1, 1, 0, 0, 3, 500, tzinfo=UTC)
    assert every.after(start) == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert every.after(every.after(start)) == datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 30 2 *", "days that exist"),
        ("0 0 31 2,4,6,9,11 *", "days that exist"),
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("*/0 * * * *", "Bad minute"),
        ("5-1 * * * *", "Bad minute"),
        ("² * * * *", "Bad minute"),
        ("* * * * * " + "1," * 100 + "1", "200 characters"),
    ],
)
def test_a_cron_that_cannot_be_kept_says_what_to_write(expression: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Cron(expression)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("0123456789*/-,#LW MONFEB²\t\x00"), max_size=40))
def test_nonsense_is_refused_with_our_own_error(expression: str) -> None:
    with suppress(ConfigurationError):
        assert Cron(expression).after(BEGIN) > BEGIN


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "America", "/etc/localtime", "../UTC", "UTC\0", "x" * 300])
def test_an_unknown_time_zone_says_how_zones_are_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="Europe/Warsaw"):
        Cron("0 0 * * *", name)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cronsim", None)
    with pytest.raises(ConfigurationError, match=r"pip install .pgqueue-jobs\[cron\]."):
        Cron("0 0 * * *")
    assert timing(None, timedelta(seconds=10), "UTC").after(BEGIN) > BEGIN


@pytest.mark.parametrize("length", [timedelta(), timedelta(milliseconds=999), timedelta(days=3651)])
def test_an_interval_that_nobody_could_keep_is_refused(length: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="between 1 second and 3650 days"):
        Every(length)


def test_runs_that_passed_are_counted_and_the_latest_are_kept() -> None:
    hourly = Cron("0 * * * *")
    noon = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    count, latest = passed(hourly, datetime(2026, 1, 1, 3, tzinfo=UTC), noon, keep=3)
    assert (count, [run.hour for run in latest]) == (10, [10, 11, 12])


def test_years_of_seconds_are_not_walked_through() -> None:
    count, latest = passed(Cron("* * * * * *"), BEGIN, BEGIN + timedelta(days=2000), keep=2)
    assert count == COUNTED
    assert latest == [BEGIN + timedelta(days=2000, seconds=-1), BEGIN + timedelta(days=2000)]


def test_an_entry_that_is_never_due_again_is_told_by_a_moment_far_ahead() -> None:
    assert Cron("0 0 * 2 MON#5").after(datetime(2090, 1, 1, tzinfo=UTC)) < NEVER
    assert NEVER.year == 9998
