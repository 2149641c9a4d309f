"""When an alert is raised, repeated and cleared: pure decisions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import Alerts, Email, Level, Settings, Wait, Webhook
from pgqueue.alerts import Standing, judge, read_secret
from pgqueue.channels import channels_of, sign
from pgqueue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RULE = Level(above=10, below=5, samples=2)


def events(values: Iterable[float], rule: Level = RULE, told_ago: float = 0.0, repeat: float = 60.0) -> list[str]:
    """What is told of these samples, "" for nothing."""
    standing, told = Standing(), []
    for value in values:
        step = judge(("rule", "subject"), rule, standing, value=value, text="", repeat=repeat)
        if step:
            standing = Standing(step.version, step.streak, step.raised, told_ago)
        told.append(step.event or "" if step else "")
    return told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([10, 10], ["", "raised"]),
        ([10, 9, 10, 9], ["", "", "", ""]),
        ([10, 10, 4, 4], ["", "raised", "", "cleared"]),
        ([10, 10, 4, 7, 4, 7], ["", "raised", "", "", "", ""]),
        ([10, 10, 9, 11, 6, 10], ["", "raised", "", "", "", ""]),
        ([10, 10, 4, 4, 10, 10], ["", "raised", "", "cleared", "", "raised"]),
        ([0, 0, 0], ["", "", ""]),
    ],
)
def test_an_alert_needs_samples_in_a_row_to_rise_and_to_clear(values: list[float], told: list[str]) -> None:
    assert events(values) == told


def test_what_stays_raised_is_told_again_after_a_while() -> None:
    assert events([10, 10, 10, 7], told_ago=60.0) == ["", "raised", "repeated", ""]


def test_a_sample_that_comes_too_soon_is_left_out() -> None:
    assert judge(("rule", "x"), RULE, Standing(1, 1, recent=True), value=99, text="", repeat=60) is None


def test_what_is_well_writes_nothing() -> None:
    assert judge(("rule", "x"), RULE, Standing(), value=0, text="", repeat=60) is None


@given(st.lists(st.floats(0, 20), max_size=60), st.integers(1, 4))
def test_raised_and_cleared_alternate_whatever_is_measured(values: list[float], samples: int) -> None:
    told = [event for event in events(values, Level(above=10, below=5, samples=samples)) if event]
    assert told[::2] == ["raised"] * len(told[::2])
    assert told[1::2] == ["cleared"] * len(told[1::2])


@given(st.lists(st.floats(5, 20), max_size=60))
def test_nothing_flaps_as_long_as_the_lower_threshold_is_not_passed(values: list[float]) -> None:
    assert events(values).count("raised") <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"dead_letters": {"above": 1, "below": 2}},
        {"dead_letters": {"above": 1, "below": 0}},
        {"failure_rate": {"above": 2, "below": 0.1}},
        {"long_wait": {"above": 60, "below": "5s"}},
        {"long_wait": {"above": "60s", "below": "5s", "samples": 0}},
        {"every": "0s"},
        {"webhooks": [{"url": "example.org"}]},
        {"webhooks": [{"url": "https://example.org", "secret": "whsec_abc"}]},
        {"emails": [{"to": [], "sender": "a@b"}]},
        {"emails": [{"to": ["a@b"], "sender": "a@b", "password": "hunter2"}]},
        {"emails": [{"to": ["a@b"], "sender": "a@b", "username": "a", "password": "env:X", "tls": "none"}]},
        {"telegram": True},
    ],
)
def test_alerts_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="alerts"):
        Settings(environment={}, alerts=wrong)


def test_a_secret_in_code_is_refused_without_being_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings(environment={}, alerts={"webhooks": [{"url": "https://example.org", "secret": "whsec_abc"}]})
    assert "whsec_abc" not in str(refused.value)
    assert "env:NAME" in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"^2 fault"):
        Settings(environment={}, alerts={"long_wait": {"above": 60, "below": "5s"}, "telegram": True})


def test_an_asynchronous_hook_is_refused() -> None:
    async def hook(notice: object) -> None:
        """Nothing."""

    with pytest.raises(ValueError, match="plain def"):
        Alerts(hooks=[hook])


def test_secrets_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET", "from the environment")
    (tmp_path / "secret").write_text("from a file\n", "utf-8")
    assert read_secret("env:A_SECRET") == "from the environment"
    assert read_secret(f"file:{tmp_path}/secret") == "from a file"
    with pytest.raises(ConfigurationError, match="the variable NO_SECRET is not set"):
        read_secret("env:NO_SECRET")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_secret(f"file:{tmp_path}/nothing")


def test_every_channel_has_a_name_of_its_own_that_tells_no_secret() -> None:
    webhook = Webhook(url="https://user:pass@hooks.example.org/T000/SECRET")
    mail = Email(to=["ops@example.org"], sender="queue@example.org")
    names = [one.name for one in channels_of(Alerts(webhooks=[webhook, webhook], emails=[mail], hooks=[print]))]
    assert names == [
        "log",
        "webhook hooks.example.org",
        "webhook hooks.example.org 2",
        "email ops@example.org",
        "hook print",
    ]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # the example of the specification
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_rule_that_is_switched_off_is_not_watched() -> None:
    assert "missed_tick" not in Alerts(missed_tick=None).rules()
    wait = Wait(above=timedelta(minutes=1), below="30s")
    assert Alerts(long_wait=wait).rules()["long_wait"].bounds == (60.0, 30.0)
