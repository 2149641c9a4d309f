"""The retry policy: bounded, with a wait for each failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pgqueue import Retry
from pgqueue.errors import ConfigurationError


def test_the_default_is_three_attempts_after_one_five_and_fifteen_minutes() -> None:
    retry = Retry()
    assert retry.max_attempts == 3
    assert [wait.total_seconds() for wait in retry.backoff] == [60, 300, 900]


def test_the_nth_failure_waits_the_nth_time_and_the_last_wait_repeats() -> None:
    retry = Retry(max_attempts=5, backoff=["1s", "2s", timedelta(seconds=3)])
    assert [retry.wait_after(attempt).total_seconds() for attempt in (1, 2, 3, 4)] == [1, 2, 3, 3]


@pytest.mark.parametrize("attempts", [0, -1, 101, None, 2.0, True, "3", float("inf")])
def test_endless_retry_is_refused(attempts: Any) -> None:
    with pytest.raises(ConfigurationError, match="1 to 100"):
        Retry(max_attempts=attempts)


@pytest.mark.parametrize("backoff", [[], ["0s"], ["500ms"], ["60s", "0s"]])
def test_retry_without_backoff_is_refused(backoff: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="hammer"):
        Retry(max_attempts=2, backoff=backoff)


def test_a_single_attempt_needs_no_backoff() -> None:
    assert Retry(max_attempts=1, backoff=[]).backoff == ()


@pytest.mark.parametrize("backoff", ["60s", timedelta(seconds=60)])
def test_a_single_wait_that_is_no_list_is_refused(backoff: Any) -> None:
    with pytest.raises(ConfigurationError, match="give a list"):
        Retry(backoff=backoff)


def test_bare_numbers_are_refused_as_waits() -> None:
    with pytest.raises(ConfigurationError, match="a backoff is 60"):
        Retry(backoff=[60])  # type: ignore[list-item]  # what somebody might write


def test_a_policy_is_shown_as_it_would_be_written() -> None:
    assert repr(Retry(2, ["90s"])) == "Retry(max_attempts=2, backoff=[90s])"
