"""`pgqueue config`: what holds, where it comes from, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.rows import ready
from tests.house.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

TEXT = """
database_url = "postgresql://ann:hunter2@db.example/app?sslpassword=hunter3"
lease = "40s"

[queues.mail]
priority = "high"
workers = 2

[supervise]
max_processes = 3
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pgqueue.toml"
    path.write_text(TEXT, "utf-8")
    return path


def shown(cli: Cli, *words: str, url: str | None = None) -> dict[str, Any]:
    return {row["setting"]: row for row in cli("config", "show", *words, "--json", url=url).json["settings"]}


def test_every_setting_is_shown_with_its_source(
    cli: Cli, conn: Conn, database_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGQUEUE_CONCURRENCY", "7")
    rows = shown(cli, url=database_url)
    assert (rows["lease"]["value"], rows["lease"]["source"]) == ("40s", str(file))
    assert (rows["concurrency"]["value"], rows["concurrency"]["source"]) == (7, "PGQUEUE_CONCURRENCY")
    assert (rows["queues.mail.workers"]["value"], rows["queues.mail.workers"]["source"]) == (2, str(file))
    assert rows["queues.mail.timeout"]["source"] == "default"
    assert rows["database_url"]["source"] == "flag"


def test_what_was_set_at_run_time_is_shown_with_who_and_when(
    cli: Cli, conn: Conn, database_url: str, file: Path
) -> None:
    ready(conn, queue="mail")
    cli("queues", "scale", "mail", "6", "--by", "ann")
    cli("workers", "scale", "4", "--by", "bob")
    rows = shown(cli)
    mail, processes = rows["queues.mail.workers"], rows["supervise.max_processes"]
    assert (mail["value"], mail["source"], mail["set_by"]) == (6, "run time", "ann")
    assert (processes["value"], processes["source"], processes["set_by"]) == (4, "run time", "bob")
    assert mail["set_at"]
    assert "run time (by ann, " in cli("config", "show").out


def test_secrets_are_never_shown(bare_cli: Cli, file: Path, tmp_path: Path) -> None:
    for words in (("config", "check"), ("config", "check", "--json")):
        assert "hunter" not in bare_cli(*words).out
    from pgqueue.cli.config import _without_password

    shown = _without_password("postgresql://ann:hunter2@db.example/app?sslpassword=hunter3")
    assert "hunter" not in shown
    assert "ann" in shown
    assert _without_password("not an address: hunter2") == "***"


def test_check_names_every_fault_on_a_line_of_its_own(
    bare_cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bare_cli("config", "check").out == f"well; file: {file}\n"
    file.write_text("concurrency = 0\nlaese = '3s'\n[queues.mail]\npriority = 'top'", "utf-8")
    monkeypatch.setenv("PGQUEUE_HEARTBEAT", "soon")
    monkeypatch.setenv("PGQUEUE_LEESE", "9s")
    monkeypatch.setenv("PGQUEUE_SERVICE_HOST", "10.0.0.1")  # of a cluster that names a service so: not ours to judge
    ran = bare_cli("config", "check")
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert lines[-1] == "5 fault(s)"
    for word in ("concurrency", "did you mean 'lease'", "queues.mail.priority", "PGQUEUE_HEARTBEAT", "PGQUEUE_LEESE"):
        assert sum(word in line for line in lines) == 1, word
    assert len(bare_cli("config", "check", "--json").json["faults"]) == 5


def test_a_fault_is_told_in_our_own_words(bare_cli: Cli, tmp_path: Path) -> None:
    (named := tmp_path / "faulty.toml").write_text('poll = "soon"\n', "utf-8")
    said = bare_cli("config", "check", "--config", str(named))
    assert "a duration is 'soon'" in said.out + said.err
    assert "Value error" not in said.out + said.err


def test_a_faulty_file_stops_a_worker_before_it_starts(bare_cli: Cli, file: Path) -> None:
    file.write_text("concurrency = 0", "utf-8")
    for verb in ("work", "supervise"):
        ran = bare_cli(verb, "--app", "tests.cli.test_config:late_app")
        assert ran.code == 2
        assert "concurrency" in ran.err
        assert str(file) in ran.err


def late_app() -> object:
    from pgqueue import App, Queue, Settings
    from tests.worker.jobs import Note

    settings = Settings()
    return App(queue=Queue(settings), jobs=[Note], settings=settings)


def test_what_the_code_says_is_known_with_the_app(bare_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("lease = '50s'\n" + (ROOT / "domain/pgqueue.toml").read_text("utf-8"), "utf-8")
    ran = bare_cli("config", "show", "--app", "domain.app:app", "--config", str(path), "--json")
    rows = {row["setting"]: row for row in ran.json["settings"]}
    assert ran.json["file"] == str(path)
    assert rows["lease"]["source"] == str(path)
    ran = bare_cli("config", "show", "--app", "domain.app:app", "--json")
    rows = {row["setting"]: row for row in ran.json["settings"]}
    assert (rows["queues.publishing.workers"]["value"], rows["queues.low.timeout"]["value"]) == (3, "600s")
    assert rows["queues.publishing.workers"]["source"].endswith("domain/pgqueue.toml")


def test_a_named_file_that_is_missing_is_told(bare_cli: Cli, tmp_path: Path) -> None:
    ran = bare_cli("config", "show", "--config", str(tmp_path / "none.toml"))
    assert ran.code == 2
    assert "no such file" in ran.err


def test_the_file_gives_commands_their_database_and_schema(
    bare_cli: Cli, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pgqueue.toml").write_text(f"database_url = '{empty_database_url}'\nschema_name = 'mine'", "utf-8")
    assert bare_cli("migrate").code == 0
    assert bare_cli("queues", "--json").json == []
    assert bare_cli("queues", "--schema", "pgqueue").code == 3
