"""Settings: all faults at once, environment over code, flags over both."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgqueue import QueueSettings, Settings
from pgqueue.db import driver_url, sqlalchemy_url
from pgqueue.errors import ConfigurationError
from pgqueue.setting_tables import SuperviseSettings
from pgqueue.settings import ENVIRONMENT


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = Settings(environment={})
    assert settings.database_url is None
    assert (settings.lease, settings.heartbeat, settings.poll) == (
        timedelta(seconds=30),
        timedelta(seconds=10),
        timedelta(seconds=5),
    )
    assert settings.queues == {"default": QueueSettings()}
    assert settings.queues["default"].timeout == timedelta(seconds=90)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(
            environment={},
            lease=30,
            concurrency=0,
            time_scale=-1,
            queues={"default": {"priority": "urgent", "workers": 0, "timeout": "soon"}},
            nonsense=1,
        )
    for word in ("7 fault", "lease", "concurrency", "time_scale", "priority", "workers", "timeout", "nonsense"):
        assert word in str(caught.value)


def test_the_environment_is_over_the_code_and_an_empty_variable_gives_nothing() -> None:
    environment = {"PGQUEUE_CONCURRENCY": "7", "PGQUEUE_LEASE": "20s", "PGQUEUE_POLL": ""}
    settings = Settings(environment=environment, concurrency=3, poll="2s")
    assert (settings.concurrency, settings.lease, settings.poll) == (7, timedelta(seconds=20), timedelta(seconds=2))


def test_flags_are_over_the_environment() -> None:
    settings = Settings(environment={"PGQUEUE_CONCURRENCY": "7"}).changed(concurrency=9, time_scale=None)
    assert (settings.concurrency, settings.time_scale) == (9, 1.0)


def test_a_fault_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGQUEUE_LEASE", "30")
    with pytest.raises(ConfigurationError, match=r"PGQUEUE_LEASE.*'30'"):
        Settings()


def test_every_variable_gives_a_setting() -> None:
    fields = set(Settings.model_fields) | {f"supervise.{name}" for name in SuperviseSettings.model_fields}
    assert set(ENVIRONMENT.values()) <= fields


def test_an_address_with_a_password_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(environment={}, database_url=["postgresql://u:hunter2@h/d"])
    assert "hunter2" not in str(caught.value)


def test_one_late_heartbeat_must_not_lose_every_job() -> None:
    with pytest.raises(ConfigurationError, match="half of lease"):
        Settings(environment={}, lease="10s", heartbeat="6s")


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "-x", "x" * 64, "a;b"])
def test_queue_names_that_would_confuse_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="queue name"):
        Settings(environment={}, queues={name: QueueSettings()})


@pytest.mark.parametrize("schema", ["a b", "A", 'x"; --', "", "x" * 42, "1a"])
def test_schema_names_that_would_need_quotes_are_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="schema_name"):
        Settings(environment={}, schema_name=schema)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@h/d", "postgres://u@h/d", "postgresql+psycopg://u@h/d", "postgresql+psycopg_async://u@h/d"],
)
def test_both_styles_of_addresses_are_accepted_everywhere(url: str) -> None:
    assert driver_url(url) == "postgresql://u@h/d"
    assert sqlalchemy_url(url) == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize("url", ["mysql://u@h/d", "host=h dbname=d", "postgresql+asyncpg://u@h/d", ""])
def test_other_addresses_are_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user@host/database"):
        driver_url(url)
