"""Fate is chosen in one place, without clock and database."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from pgqueue import Cancel, Continue, Dead, Discard, Done, Job, JobContext, Retry, RetryIn, Snooze
from pgqueue.errors import ConfigurationError
from pgqueue.failure import Failure
from pgqueue.outcome import Claimed, Outcome, Settlement, bury, crash, decide, give_back, refuse
from pgqueue.policy import Policy
from tests.unit.claims import claimed

POLICY = Policy(retry=Retry(3, ["60s", "300s"]), retain=timedelta(hours=2))
WEEK = 7 * 86_400


class Next(Job):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("result", "moment", "seconds", "note"),
    [
        (None, "complete", 7200, None),
        (Done(), "complete", 7200, None),
        (Continue(Next()), "complete", 7200, None),
        (Snooze("90s", "busy"), "snooze", 90, None),
        (Snooze(timedelta(0)), "snooze", 0.001, None),
        (Discard("not wanted"), "discard", WEEK, "not wanted"),
        (Cancel("the user said so"), "cancel", WEEK, "the user said so"),
    ],
)
def test_what_a_job_returns_decides(result: Outcome | None, moment: str, seconds: float, note: str | None) -> None:
    settlement = decide(claimed(), POLICY, result)
    assert (settlement.id, settlement.claims) == (7, 5)
    assert (settlement.moment, settlement.seconds, settlement.note) == (moment, seconds, note)


@pytest.mark.parametrize(
    ("attempt", "result", "moment", "seconds"),
    [
        (1, ValueError("no"), "retry", 60),
        (2, ValueError("no"), "retry", 300),
        (3, ValueError("no"), "bury", 0),
        (4, ValueError("no"), "bury", 0),
        (1, RetryIn(), "retry", 60),
        (1, RetryIn("10m", "slow"), "retry", 600),
        (1, RetryIn("0s"), "retry", 1),
        (3, RetryIn("10m"), "bury", 0),
        (1, SystemExit(3), "retry", 60),
        (1, KeyboardInterrupt(), "retry", 60),
    ],
)
def test_a_failure_spends_an_attempt(
    attempt: int, result: Outcome | BaseException, moment: str, seconds: float
) -> None:
    settlement = decide(claimed(attempt=attempt), POLICY, result)
    assert (settlement.moment, settlement.seconds) == (moment, seconds)
    assert settlement.failure is not None


def test_the_row_says_how_many_attempts_there_are_else_the_policy() -> None:
    assert decide(claimed(attempt=3, max_attempts=9), POLICY, OSError()).moment == "retry"
    assert decide(claimed(attempt=3, max_attempts=None), POLICY, OSError()).moment == "bury"


def test_a_dead_job_says_why_in_its_letter() -> None:
    settlement = decide(claimed(), POLICY, Dead("the account is gone"))
    note = json.loads(settlement.note or "")
    assert settlement.moment == "bury"
    assert settlement.reason == note["reason"] == "dead"
    assert note["error"] == "the account is gone"
    assert len(note["fingerprint"]) == 16


def test_a_failed_attempt_leaves_type_text_and_trace() -> None:
    try:
        raise LookupError("nobody there")  # noqa: TRY301 - an error with a trace
    except LookupError as error:
        note = json.loads(decide(claimed(), POLICY, error).note or "")
    assert note["type"] == "LookupError"
    assert note["error"] == "nobody there"
    assert "test_outcome" in note["trace"]


def test_a_snooze_within_max_age_is_granted_and_beyond_it_buries() -> None:
    job = claimed(expires_in=100.0)
    assert decide(job, POLICY, Snooze("60s"), ran=39).moment == "snooze"
    late = decide(job, POLICY, Snooze("60s", "still busy"), ran=41)
    assert (late.moment, late.reason) == ("bury", "expired")
    assert "still busy" in json.loads(late.note or "")["error"]


def test_a_row_without_deadline_has_the_max_age_of_its_kind() -> None:
    job = claimed(expires_in=None, waited=86_400.0)
    assert decide(job, POLICY, Snooze("5d"), ran=60).moment == "snooze"
    assert decide(job, POLICY, Snooze("6d"), ran=60).reason == "expired"


@pytest.mark.parametrize(
    "result",
    [{"some": "dict"}, "text", False, 0, Done, Next(), (_ for _ in ())],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_outcome_is_a_failed_attempt_that_lists_what_is_allowed(result: object) -> None:
    settlement = decide(claimed(), POLICY, result)
    assert settlement.moment == "retry"
    assert settlement.failure is not None
    assert settlement.failure.type == "WrongResult"
    assert "Done, RetryIn, Snooze, Discard, Cancel, Dead, Continue" in settlement.failure.error
    assert "some" not in settlement.failure.error.split(";", maxsplit=1)[0]


def test_time_scale_divides_waits() -> None:
    assert decide(claimed(), POLICY, ValueError(), scale=60).seconds == 1
    assert decide(claimed(), POLICY, RetryIn("10m"), scale=60).seconds == 10
    assert decide(claimed(), POLICY, Snooze("60s"), scale=60).seconds == 1


def test_a_bare_number_as_a_delay_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a snooze is 60"):
        decide(claimed(), POLICY, Snooze(60))  # type: ignore[arg-type]  # what somebody might write


@pytest.mark.parametrize(
    "result", [Discard("a\x00b\ud800"), Cancel("a\x00b\ud800"), Dead("a\x00b\ud800"), RetryIn("5s", "a\x00b\ud800")]
)
def test_reasons_are_storable(result: Outcome) -> None:
    note = decide(claimed(), POLICY, result).note or ""
    assert "\x00" not in note
    assert "\\u0000" not in note
    note.encode("utf-8")


def test_unknown_kinds_are_given_back_later_and_later() -> None:
    waits = [refuse(claimed(refusals=refusals)).seconds for refusals in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_was_not_started_goes_back_at_once() -> None:
    assert give_back(claimed()) == Settlement(7, 5, "give_back", 0.0, None)


def test_the_same_cause_has_the_same_fingerprint() -> None:
    def fingerprint(job: Claimed, text: str) -> str:
        return str(json.loads(bury(job, "attempts", Failure("KeyError", text)).note or "")["fingerprint"])

    one, other = fingerprint(claimed(), "user 17 'ann' missing"), fingerprint(claimed(id=8), "user 18 'bob' missing")
    assert one == other
    assert one != fingerprint(claimed(kind="Other"), "user 17 'ann' missing")
    assert one != fingerprint(claimed(), "account 17 'ann' missing")


def test_a_crash_waits_longer_each_time_and_the_last_one_buries() -> None:
    failure = Failure("ProcessDied", "the process of the job was ended by SIGSEGV")
    first, second, third = (crash(claimed(crashes=n), failure, 3) for n in range(3))
    assert [each.moment for each in (first, second, third)] == ["crash", "crash", "bury"]
    assert (first.seconds, second.seconds) == (1.0, 2.0)
    assert third.reason == "crashed"
    assert crash(claimed(), failure, 3, scale=10.0).seconds == 0.1
