"""Each mistake gets one clear line that says what to do, and its exit code."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.cli.rows import dead, enqueue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

NEED_A_DATABASE = [
    ("migrate",),
    ("migrate", "--check"),
    ("jobs",),
    ("jobs", "show", "1"),
    ("jobs", "cancel", "1"),
    ("dead",),
    ("dead", "show", "1"),
    ("dead", "requeue", "1"),
    ("dead", "discard", "1", "--reason", "x"),
    ("queues",),
    ("queues", "pause", "default"),
    ("queues", "resume", "default"),
    ("schedules",),
    ("schedules", "show", "purge"),
    ("schedules", "pause", "purge"),
    ("schedules", "resume", "purge"),
    ("schedules", "run", "purge"),
    ("schedules", "remove", "purge"),
    ("workers",),
    ("actions",),
    ("alerts",),
    ("breakers",),
    ("breakers", "open", "x"),
    ("doctor",),
]
NEED_THE_SCHEMA = [words for words in NEED_A_DATABASE if words[0] not in {"migrate", "doctor"}]


def _one_line(err: str) -> bool:
    return err.startswith("pgqueue: ") and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize("words", NEED_A_DATABASE)
def test_no_database_url_names_the_variable_and_the_option(bare_cli: Cli, words: tuple[str, ...]) -> None:
    ran = bare_cli(*words)
    assert ran.code == 2
    assert _one_line(ran.err)
    assert "PGQUEUE_DATABASE_URL" in ran.err
    assert "--embedded" in ran.err


def test_an_empty_variable_is_no_database(bare_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGQUEUE_DATABASE_URL", "")
    assert "PGQUEUE_DATABASE_URL" in bare_cli("jobs").err


@pytest.mark.parametrize("words", NEED_A_DATABASE)
def test_an_unreachable_database_is_said_without_its_password(bare_cli: Cli, words: tuple[str, ...]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can answer there
        ran = bare_cli(*words, url=f"postgresql://ann:geheim@127.0.0.1:{closed.getsockname()[1]}/app")
    assert ran.code == 3
    assert _one_line(ran.err)
    assert "cannot reach the database" in ran.err
    assert "geheim" not in ran.err


@pytest.mark.parametrize("url", ["mysql://localhost/app", "localhost:5432", "sqlite://"])
def test_an_address_of_another_kind_says_how_to_write_it(bare_cli: Cli, url: str) -> None:
    ran = bare_cli("jobs", url=url)
    assert ran.code == 2
    assert _one_line(ran.err)
    assert "postgresql://user@host/database" in ran.err


@pytest.mark.parametrize("words", NEED_THE_SCHEMA)
def test_a_missing_schema_says_to_migrate(bare_cli: Cli, empty_database_url: str, words: tuple[str, ...]) -> None:
    ran = bare_cli(*words, url=empty_database_url)
    assert ran.code == 3
    assert _one_line(ran.err)
    assert "run `pgqueue migrate`" in ran.err


def test_an_older_schema_says_to_migrate(cli: Cli, conn: Conn) -> None:
    conn.execute("UPDATE pgqueue.stamp SET version = 0, least_worker = 0")
    ran = cli("jobs")
    assert ran.code == 3
    assert "older (version 0)" in ran.err
    assert "run `pgqueue migrate`" in ran.err


def test_a_newer_schema_says_to_upgrade_the_package(cli: Cli, conn: Conn) -> None:
    conn.execute("UPDATE pgqueue.stamp SET version = 9, least_worker = 9")
    ran = cli("queues", "pause", "default")
    assert ran.code == 3
    assert "newer (version 9)" in ran.err
    assert "upgrade pgqueue-jobs" in ran.err


def test_a_newer_schema_that_still_serves_this_package_is_used(cli: Cli, conn: Conn) -> None:
    conn.execute("UPDATE pgqueue.stamp SET version = 9, least_worker = 1")
    assert cli("jobs").code == 0


@pytest.mark.parametrize("name", ["no-such", "Jobs", "1st", "x" * 42, 'a"b'])
def test_a_schema_name_that_cannot_be_one_is_refused(cli: Cli, name: str) -> None:
    ran = cli("jobs", "--schema", name)
    assert ran.code == 2
    assert "not usable" in ran.err


@pytest.mark.own_database
def test_a_command_may_be_stopped_by_the_server(cli: Cli, conn: Conn) -> None:
    conn.execute("ALTER TABLE pgqueue.outbox RENAME TO elsewhere")
    conn.execute("DROP VIEW pgqueue.all_jobs")
    ran = cli("jobs")
    assert ran.code == 3
    assert _one_line(ran.err)
    assert "all_jobs" in ran.err


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no_such_module_here:app", "no module 'no_such_module_here'"),
        ("json", "module:attribute"),
        ("json:", "module:attribute"),
        ("json:app", "has no 'app'"),
        ("json:decoder", "must be a pgqueue.App"),
    ],
)
@pytest.mark.parametrize("command", ["kinds", "work"])
def test_a_wrong_app_path_says_how_to_write_it(bare_cli: Cli, command: str, path: str, said: str) -> None:
    ran = bare_cli(command, "--app", path)
    assert ran.code == 2
    assert _one_line(ran.err)
    assert said in ran.err


@pytest.mark.parametrize("command", ["kinds", "work"])
def test_no_app_names_the_option_and_the_variable(bare_cli: Cli, command: str) -> None:
    ran = bare_cli(command)
    assert ran.code == 2
    assert "--app module:attribute" in ran.err
    assert "PGQUEUE_APP" in ran.err


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "cli_application.py").write_text(
        "from pgqueue import App, Job, JobContext, Queue, Settings\n"
        "class Greet(Job, use_case='Greeting', dispatched_by=('Welcome',)):\n"
        "    name: str\n"
        "    def run(self, app: None, ctx: JobContext) -> None: ...\n"
        "app = App(queue=Queue(Settings(environment={})), jobs=[Greet])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "cli_application:app"


def test_kinds_needs_no_database(bare_cli: Cli, app: str) -> None:
    ran = bare_cli("kinds", "--app", app, "--json")
    assert ran.json == [
        {
            "kind": "Greet",
            "queue": "default",
            "timeout_seconds": 90.0,
            "max_attempts": 3,
            "backoff_seconds": [60.0, 300.0, 900.0],
            "use_case": "Greeting",
            "dispatched_by": ["Welcome"],
            "idempotency": None,
        }
    ]
    assert "60s, 5m, 15m" in bare_cli("kinds", "--app", app).out


def test_the_app_may_come_from_the_environment(bare_cli: Cli, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGQUEUE_APP", app)
    assert "Greet" in bare_cli("kinds").out


def test_work_on_an_unknown_queue_lists_those_of_the_app(cli: Cli, app: str) -> None:
    ran = cli("work", "--app", app, "--queues", "hihg")
    assert ran.code == 2
    assert "unknown queue 'hihg'; the App names: default" in ran.err


def test_work_on_no_queue_is_refused(cli: Cli, app: str) -> None:
    assert cli("work", "--app", app, "--queues", ", ").code == 2


def test_a_poll_without_a_unit_is_refused(cli: Cli, app: str) -> None:
    ran = cli("work", "--app", app, "--poll", "5")
    assert ran.code == 2
    assert 'such as "90s"' in ran.err


def test_an_unknown_kind_in_a_filter_finds_nothing(cli: Cli) -> None:
    assert cli("jobs", "--kind", "NoSuch").out == "no jobs\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("jobs", "nonsense"),
        ("jobs", "--state", "nonsense"),
        ("jobs", "--correlation", "nonsense"),
        ("jobs", "--limit", "0"),
        ("jobs", "show"),
        ("jobs", "show", "first"),
        ("jobs", "show", "0"),
        ("jobs", "show", str(1 << 63)),
        ("jobs", "cancel"),
        ("dead", "--by", "nonsense"),
        ("work", "--processes", "0"),
        ("work", "--metrics-port", "70000"),
    ],
)
def test_wrong_words_are_a_usage_error(bare_cli: Cli, words: tuple[str, ...]) -> None:
    ran = bare_cli(*words)
    assert ran.code == 2
    assert ran.err
    assert "Traceback" not in ran.err


NOWHERE = [
    ("jobs", "show", "4711"),
    ("jobs", "cancel", "4711"),
    ("dead", "show", "4711"),
    ("dead", "requeue", "4711"),
    ("dead", "discard", "4711", "--reason", "x"),
    ("queues", "pause", "nowhere"),
    ("queues", "resume", "nowhere"),
    ("queues", "scale", "nowhere", "3"),
    ("queues", "order", "nowhere", "fair"),
    ("schedules", "show", "nowhere"),
    ("schedules", "pause", "nowhere"),
    ("schedules", "resume", "nowhere"),
    ("schedules", "run", "nowhere"),
    ("schedules", "remove", "nowhere"),
    ("workers", "restart", "ffff"),
    ("workers", "restart", "--queue", "nowhere"),
    ("workers", "drain", "ffff"),
    ("limits", "unset", "nowhere"),
    ("weights", "unset", "nowhere"),
    ("breakers", "show", "nowhere"),
    ("breakers", "close", "nowhere"),
    ("breakers", "reset", "nowhere"),
]


def test_what_is_not_there_is_told_alike_by_every_command(cli: Cli, conn: Conn) -> None:
    ended = {words: cli(*words) for words in NOWHERE}
    assert {words: ran.code for words, ran in ended.items()} == dict.fromkeys(NOWHERE, 2)
    assert [words for words, ran in ended.items() if not ran.out + ran.err] == []
    assert cli("actions", "--json").json == []


def test_of_several_ids_those_that_are_there_count(cli: Cli, conn: Conn) -> None:
    assert cli("jobs", "cancel", enqueue(conn), 4711).code == 1
    assert cli("dead", "requeue", dead(conn), 4711).code == 1


def test_nul_in_a_filter_is_refused_in_one_line(cli: Cli) -> None:
    ran = cli("jobs", "--kind", "a\x00b")
    assert ran.code in {2, 3}
    assert _one_line(ran.err)
