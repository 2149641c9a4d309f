"""The configuration file, and how it goes together with environment, code and flags."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pgqueue import QueueSettings, Settings
from pgqueue.errors import ConfigurationError, InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str, name: str = "pgqueue.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGQUEUE_CONFIG", "PGQUEUE_CONCURRENCY", "PGQUEUE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


# ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_file_is_found_from_the_working_directory_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "concurrency = 7")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert (Settings().concurrency, Settings().file) == (7, path)


def test_the_nearest_file_holds_and_a_project_without_the_table_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[tool.pgqueue]\nconcurrency = 7", "pyproject.toml")
    written(tmp_path / "a", "[tool.other]\nx = 1", "pyproject.toml")
    monkeypatch.chdir(tmp_path / "a")
    assert Settings().concurrency == 7
    written(tmp_path / "a", "concurrency = 8")
    assert Settings().concurrency == 8


def test_two_files_in_one_directory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "[tool.pgqueue]\nconcurrency = 7", "pyproject.toml")
    written(tmp_path, "concurrency = 8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="keep one of them"):
        Settings()


def test_a_variable_names_the_file_and_goes_over_the_one_that_the_code_names(tmp_path: Path) -> None:
    by_code, by_variable = written(tmp_path / "a", "concurrency = 7"), written(tmp_path / "b", "concurrency = 8")
    assert Settings(environment={}, file=by_code).concurrency == 7
    assert Settings(environment={"PGQUEUE_CONFIG": str(by_variable)}, file=by_code).concurrency == 8


def test_with_variables_of_ones_own_no_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "concurrency = 7")
    monkeypatch.chdir(tmp_path)
    assert Settings(environment={}).file is None


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("pgqueue.toml", "a = ", "no TOML"),
        ("pgqueue.toml", "\xff\xfe", "no TOML"),
        ("pyproject.toml", "[tool.other]", r"no table \[tool.pgqueue\]"),
        ("pyproject.toml", "tool = 3", r"no table \[tool.pgqueue\]"),
        ("pyproject.toml", "[tool]\npgqueue = 3", r"no table \[tool.pgqueue\]"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(ConfigurationError, match=told) as caught:
        Settings(environment={}, file=path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_missing_or_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no such file.*--config"):
        Settings(environment={}, file=tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Settings(environment={}, file=tmp_path)


# ── what is over what ────────────────────────────────────────────────────────────────────────────────────────────────


def test_flag_over_environment_over_file_over_code(tmp_path: Path) -> None:
    path = written(tmp_path, 'concurrency = 2\nlease = "40s"\npoll = "2s"')
    settings = Settings(
        environment={"PGQUEUE_CONCURRENCY": "3", "PGQUEUE_LEASE": "50s"},
        file=path,
        concurrency=1,
        lease="20s",
        poll="1s",
        drain="9s",
    ).changed(concurrency=4)
    assert [
        (settings.concurrency, settings.source_of(("concurrency",))),
        (settings.lease.total_seconds(), settings.source_of(("lease",))),
        (settings.poll.total_seconds(), settings.source_of(("poll",))),
        (settings.drain.total_seconds(), settings.source_of(("drain",))),
        (settings.max_crashes, settings.source_of(("max_crashes",))),
    ] == [(4, "flag"), (50, "PGQUEUE_LEASE"), (2, str(path)), (9, "code"), (3, "default")]


def test_queues_go_together_key_by_key(tmp_path: Path) -> None:
    path = written(tmp_path, '[queues.mail]\nworkers = 5\n[queues."a.b"]\npriority = "low"')
    code = {"mail": QueueSettings(priority="high", workers=1), "media": {"timeout": "5m"}}
    settings = Settings(environment={}, file=path, queues=code)
    assert settings.queues["mail"] == QueueSettings(priority="high", workers=5)
    assert settings.queues["media"].timeout == timedelta(minutes=5)
    assert settings.source_of(("queues", "mail", "workers")) == str(path)
    assert settings.source_of(("queues", "mail", "priority")) == "code"
    assert settings.source_of(("queues", "a.b", "priority")) == str(path)


def test_the_environment_reaches_the_supervisor() -> None:
    settings = Settings(environment={"PGQUEUE_BALANCE": "simple", "PGQUEUE_MAX_PROCESSES": "3"})
    assert (settings.supervise.balance, settings.supervise.max_processes) == ("simple", 3)


def test_settings_are_read_anew_with_their_flags(tmp_path: Path) -> None:
    path = written(tmp_path, "concurrency = 2")
    settings = Settings(environment={}, file=path, drain="9s").changed(poll="1s")
    written(tmp_path, 'concurrency = 5\npoll = "7s"')
    again = settings.changed()
    assert (again.concurrency, again.poll, again.drain) == (5, timedelta(seconds=1), timedelta(seconds=9))
    written(tmp_path, "concurrency = 0")
    with pytest.raises(InvalidSettings):
        settings.changed()


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────

TEN_FAULTS = """
leese = "10s"
concurrency = 0
log_level = "loud"
heartbeat = "40s"

[queues.high]
priority = "urgent"
workers = 0
timeout = 30
worker = 3

[supervise]
balance = "automatic"
groups = [["hihg"]]
"""


def test_ten_faults_are_all_named_at_once_with_file_and_key(tmp_path: Path) -> None:
    path = written(tmp_path, TEN_FAULTS)
    with pytest.raises(InvalidSettings) as caught:
        Settings(environment={"PGQUEUE_POOLER": "perhaps"}, file=path, max_crashes=0)
    faults = caught.value.faults
    expected = {
        "leese": "did you mean 'lease'",
        "concurrency": "greater than or equal to 1",
        "log_level": "'debug', 'info'",
        "heartbeat must be": "half of lease",
        "queues.high.priority": "'high', 'normal' or 'low'",
        "queues.high.workers": "greater than or equal to 1",
        "queues.high.timeout": 'such as "90s"',
        "queues.high.worker ": "did you mean 'workers'",
        "supervise.balance": "'off', 'simple' or 'auto'",
        "supervise.groups: unknown": "did you mean 'high'",
        "supervise.groups: no group": "serves high",
        "max_crashes": "greater than or equal to 1",
        "pooler (from PGQUEUE_POOLER)": "'perhaps'",
    }
    for key, told in expected.items():
        found = [fault for fault in faults if fault.startswith(key)]
        assert len(found) == 1, (key, faults)
        assert told in found[0]
        # what two values say together, and what other sources say, is not in the file alone
        assert str(path) in found[0] or key.startswith(("heartbeat must", "supervise.groups", "max_crashes", "pooler"))
    assert len(faults) == len(expected) == 13
    assert f"{len(faults)} fault(s)" in str(caught.value)


def test_a_fault_is_told_although_another_source_is_over_it(tmp_path: Path) -> None:
    path = written(tmp_path, "concurrency = 0")
    with pytest.raises(InvalidSettings, match="concurrency"):
        Settings(environment={"PGQUEUE_CONCURRENCY": "5"}, file=path)


@pytest.mark.parametrize(
    ("supervise", "told"),
    [
        ({"groups": [["a"], ["b"], ["d"]]}, "unknown queue 'd'"),
        ({"groups": [["a", "b"], ["a", "c"]]}, "'a' stands in two groups"),
        ({"groups": [["a"]]}, "no group serves b, c"),
        ({"balance": "simple", "max_processes": 2}, "needs 3"),
        ({"balance": "auto", "min_processes": 2, "max_processes": 5}, "needs 6"),
        ({"groups": [[3]]}, "groups.0.0"),
        ({"groups": "abc"}, "groups"),
        ({"cooldown": "0s"}, "cooldown"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"max_memory_mb": 1}, "max_memory_mb"),
        ({"min_processes": 0}, "min_processes"),
        ({"max_processes": 1000}, "max_processes"),
        ({"strategy": "luck"}, "strategy"),
        ({"minProcesses": 1}, "did you mean 'min_processes'"),
    ],
)
def test_a_supervisor_that_cannot_work_is_refused(supervise: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidSettings, match=told):
        Settings(environment={}, queues={"a": {}, "b": {}, "c": {}}, supervise=supervise)


def test_a_misspelt_address_is_not_shown() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings(environment={}, databse_url="postgresql://u:hunter2@h/d", log_level="postgresql://u:hunter2@h/d")
    assert "hunter2" not in str(caught.value)
    assert "did you mean 'database_url'" in str(caught.value)
