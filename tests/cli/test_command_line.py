"""What all commands share: global options anywhere, help, migrate, speed, terminals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pgqueue.cli import arranged
from pgqueue.cli.output import age
from pgqueue.terminal import neutral
from pgqueue.version import __version__
from tests.cli.rows import enqueue

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

COMMANDS = ["migrate", "work", "supervise", "jobs", "dead", "queues", "workers", "config", "kinds", "doctor", "bench"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("jobs", "jobs list"),
        ("jobs --json", "--json jobs list"),
        ("jobs --queue q --json", "--json jobs list --queue q"),
        ("jobs show 5 --database-url u", "--database-url u jobs show 5"),
        ("dead --schema=s list", "--schema=s dead list"),
        ("--embedded queues", "--embedded queues list"),
        ("jobs --help", "jobs --help"),
        ("jobs cancel 1 -- --json", "jobs cancel 1 -- --json"),
        ("workers --database-url", "--database-url workers list"),
        ("", ""),
    ],
)
def test_global_options_stand_anywhere_and_a_bare_noun_lists(given: str, meant: str) -> None:
    assert arranged(given.split()) == meant.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(bare_cli: Cli, command: str) -> None:
    ran = bare_cli(command, "--help")
    assert ran.code == 0
    assert "Usage: pgqueue" in ran.out
    assert command in bare_cli("--help").out


def test_the_version_is_told_without_a_database(bare_cli: Cli) -> None:
    ran = bare_cli("--version")
    assert (ran.code, ran.out) == (0, f"pgqueue {__version__}\n")


def test_migrate_check_tells_by_its_exit_code(bare_cli: Cli, empty_database_url: str) -> None:
    ran = bare_cli("migrate", "--check", url=empty_database_url)
    assert ran.code == 1
    assert ran.out.startswith("missing: pgqueue_0001, pgqueue_0002; run `pgqueue migrate` (or `alembic upgrade heads`")
    assert bare_cli("migrate", url=empty_database_url).out == "applied: pgqueue_0001, pgqueue_0002\n"
    ran = bare_cli("migrate", "--check", url=empty_database_url)
    assert (ran.code, ran.out) == (0, "up to date\n")
    assert bare_cli("jobs", url=empty_database_url).out == "no jobs\n"
    ran = bare_cli("migrate", "--downgrade", "--json", url=empty_database_url)
    assert ran.json["result"] == "downgraded"
    assert bare_cli("migrate", "--check", url=empty_database_url).code == 1


def test_migrate_into_a_schema_of_another_name(bare_cli: Cli, empty_database_url: str) -> None:
    assert bare_cli("migrate", "--schema", "mine", url=empty_database_url).code == 0
    assert bare_cli("queues", "--schema", "mine", "--json", url=empty_database_url).json == []
    assert bare_cli("queues", url=empty_database_url).code == 3


def test_migrate_sql_needs_no_database(bare_cli: Cli) -> None:
    out = bare_cli("migrate", "--sql").out
    assert "CREATE TABLE" in out
    assert "pgqueue" in bare_cli("migrate", "--sql", "--json").json["sql"]


def test_migrate_takes_one_mode_at_a_time(bare_cli: Cli) -> None:
    assert bare_cli("migrate", "--check", "--downgrade").code == 2


@pytest.mark.parametrize("style", ["postgresql://", "postgres://", "postgresql+psycopg://"])
def test_every_style_of_address_is_understood(bare_cli: Cli, database_url: str, style: str) -> None:
    url = style + database_url.partition("://")[2]
    assert bare_cli("jobs", url=url).code == 0
    assert bare_cli("migrate", "--check", url=url).code == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0, "0s"),
        (5.9, "5s"),
        (119, "119s"),
        (180, "3m"),
        (7200, "2h"),
        (86400 * 3, "3d"),
        (-0.2, "0s"),
        (-90, "in 90s"),
    ],
)
def test_ages_are_short(seconds: float | None, said: str) -> None:
    assert age(seconds) == said


def test_neutral_text_keeps_letters_and_shows_controls() -> None:
    assert neutral("héllo 日本 😀") == "héllo 日本 😀"
    assert neutral("a\x1b]8;;x\x07\x9b\x7f\n") == r"a\x1b]8;;x\x07\x9b\x7f\x0a"


def _in_a_terminal(url: str, *words: str, width: int) -> str:
    """What a person sees on a terminal of this width."""
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm-256color", "PGQUEUE_DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-m", "pgqueue", *words], stdout=side, stderr=side, env=environment
    ) as process:
        os.close(side)
        seen = b""
        try:
            while part := os.read(main, 65536):
                seen += part
        except OSError:  # how Linux says that the other side was closed
            pass
    os.close(main)
    assert process.returncode == 0, seen
    return seen.decode()


def test_a_terminal_gets_colours_and_no_line_wider_than_itself(conn: Conn, database_url: str) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    enqueue(conn, "K" * 150, organization="x\x1b[31m[bold]y[/bold]")
    seen = _in_a_terminal(database_url, "jobs", width=100)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert plain != seen
    assert r"x\x1b" in plain
    assert max(map(len, plain.splitlines())) <= 100
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", _in_a_terminal(database_url, "queues", width=80))
    assert "…" not in narrow  # columns in which nothing stands gave their room
    assert max(map(len, narrow.splitlines())) <= 80


def test_help_loads_neither_the_database_driver_nor_the_worker() -> None:
    code = (
        "import sys, pgqueue.cli.root;"
        "heavy = {'psycopg', 'sqlalchemy', 'alembic', 'pydantic', 'structlog', 'pgqueue.worker'} & set(sys.modules);"
        "print(*heavy); sys.exit(bool(heavy))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"loaded too early: {ran.stdout}{ran.stderr}"


@pytest.mark.parametrize(
    "words",
    [
        *(f"{what} list" for what in ("jobs", "dead", "queues", "schedules", "limits", "weights", "breakers")),
        *("alerts list", "sources list", "actions", "workers", "migrate --check"),
    ],
)
def test_what_only_reads_works_on_a_replica(cli: Cli, database_url: str, words: str) -> None:
    sign = "&" if "?" in database_url else "?"
    ran = cli(*words.split(), url=f"{database_url}{sign}options=-c%20default_transaction_read_only%3Don")
    assert ran.code == 0, ran.err
