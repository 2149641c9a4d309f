"""Lengths of time: text with a unit or a timedelta, nothing that would have to be guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgqueue.duration import duration
from pgqueue.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("1.5s", 1.5), ("5m", 300), ("1h", 3600), ("7d", 604800), (" 2 s ", 2), ("0s", 0)],
)
def test_text_with_a_unit_is_a_duration(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


def test_a_timedelta_is_taken_as_it_is() -> None:
    assert duration(timedelta(minutes=3)) == timedelta(minutes=3)


@pytest.mark.parametrize("value", [60, 1.5, "60", "sixty seconds", "", None, "-1s", "1y", "nan s", "1e3s", b"1s", True])
def test_what_has_no_unit_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ConfigurationError, match="90s"):
        duration(value, what="the pause")


@pytest.mark.parametrize("value", [timedelta(seconds=-1), timedelta(days=3651), "3651d"])
def test_negative_and_absurd_durations_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="between 0 and 3650 days"):
        duration(value)


def test_digits_without_end_are_refused_and_do_not_overflow() -> None:
    with pytest.raises(ConfigurationError):
        duration("9" * 400 + "d")
