"""`pgqueue dead`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pgqueue.cli import redrive as command
from tests.cli.rows import dead, enqueue

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def _left(conn: Conn) -> list[int]:
    return [row[0] for row in conn.execute("SELECT id FROM pgqueue.dead_jobs ORDER BY id")]


def test_the_last_to_die_comes_first(cli: Cli, conn: Conn) -> None:
    old = dead(conn, ago="2 hours")
    new = dead(conn, ago="1 minute")
    assert [job["id"] for job in cli("dead", "--json").json] == [new, old]
    out = cli("dead").out
    assert "2h" in out
    assert "no such user" in out


def test_an_empty_list_says_so(cli: Cli) -> None:
    assert cli("dead").out == "no dead letters\n"


def test_only_the_first_line_of_an_error_is_listed_and_all_of_it_shown(cli: Cli, conn: Conn) -> None:
    job = dead(conn, error="first\nsecond \x1b[31mred")
    assert "second" not in cli("dead").out
    shown = cli("dead", "show", job).out
    assert r"second \x1b[31mred" in shown
    assert '"attempt": 1' in shown
    assert cli("dead", "show", job, "--json").json["errors"] == [{"attempt": 1}]


def test_show_of_a_job_that_is_not_dead_says_where_to_look(cli: Cli, conn: Conn) -> None:
    job = enqueue(conn)
    ran = cli("dead", "show", job)
    assert ran.code == 2
    assert f"pgqueue jobs show {job}" in ran.err


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("error", ["ValueError in Mail", "ValueError in Scan"]),
        ("kind", ["Mail", "Scan"]),
        ("organization", ["acme", "other"]),
    ],
)
def test_dead_letters_are_counted_by_what_they_share(cli: Cli, conn: Conn, by: str, names: list[str]) -> None:
    dead(conn, "Mail", ago="2 hours")
    last = dead(conn, "Mail")
    dead(conn, "Scan", error="disk full", organization="other")
    groups = cli("dead", "--by", by, "--json").json
    assert [group["jobs"] for group in groups] == [2, 1]
    assert [group["name"].partition(" #")[0] for group in groups] == names
    assert groups[0]["sample_id"] == last
    assert groups[1]["sample_error"] == "disk full"
    assert names[0] in cli("dead", "--by", by).out


def test_requeue_by_id_gives_another_life_and_notes_who_gave_it(cli: Cli, conn: Conn) -> None:
    job, other = dead(conn), dead(conn)
    ran = cli("dead", "requeue", job, "--by", "ann", "--json")
    assert ran.code == 0
    assert ran.json == {"dry_run": False, "requeued": [job], "live_again": {}, "not_dead": []}
    assert _left(conn) == [other]
    shown = cli("jobs", "show", job, "--json").json
    assert (shown["state"], shown["attempt"]) == ("waiting", 0)
    assert shown["errors"][-1]["requeued_by"] == "ann"


def test_requeue_defaults_to_the_user_of_the_system(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "operator")
    job = dead(conn)
    assert cli("dead", "requeue", job).out == f"1 job requeued: {job}\n"
    assert cli("jobs", "show", job, "--json").json["errors"][-1]["requeued_by"] == "operator"


def test_requeue_by_filter_takes_only_what_the_filter_finds(cli: Cli, conn: Conn) -> None:
    mails = [dead(conn, "Mail"), dead(conn, "Mail")]
    scan = dead(conn, "Scan")
    assert cli("dead", "requeue", "--kind", "Mail", "--json").json["requeued"] == mails
    assert _left(conn) == [scan]


def test_requeue_by_the_beginning_of_a_fingerprint(cli: Cli, conn: Conn) -> None:
    job = dead(conn, error="disk full")
    other = dead(conn, error="no such user")
    fingerprint = cli("dead", "show", job, "--json").json["fingerprint"]
    assert cli("dead", "requeue", "--fingerprint", fingerprint[:8], "--json").json["requeued"] == [job]
    assert _left(conn) == [other]


def test_a_dry_run_changes_nothing(cli: Cli, conn: Conn) -> None:
    job = dead(conn)
    for words in (("requeue", "--all"), ("discard", "--reason", "x", "--all"), ("requeue", job)):
        ran = cli("dead", *words, "--dry-run", "--json")
        assert ran.json["dry_run"] is True
        assert job in next(iter(list(ran.json.values())[1:]))
    assert cli("dead", "requeue", job, "--dry-run").out == f"1 job would be requeued: {job}\n"
    assert _left(conn) == [job]


def test_everything_is_requeued_page_by_page(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    ids = [dead(conn) for _ in range(5)]
    assert cli("dead", "requeue", "--all", "--json").json["requeued"] == ids
    assert _left(conn) == []


def test_an_id_that_is_not_dead_is_named_and_the_others_are_done(cli: Cli, conn: Conn) -> None:
    job = dead(conn)
    ran = cli("dead", "requeue", job, job + 1)
    assert ran.code == 1
    assert ran.out.startswith(f"1 job requeued: {job}\nnot dead (any more): {job + 1}; `pgqueue jobs show {job + 1}`")


def test_discard_ends_the_job_with_who_and_why(cli: Cli, conn: Conn) -> None:
    job = dead(conn)
    ran = cli("dead", "discard", job, "--reason", "customer left", "--by", "ann", "--json")
    assert ran.json["discarded"] == [job]
    shown = cli("jobs", "show", job, "--json").json
    assert (shown["state"], shown["reason"]) == ("discarded", "customer left")
    assert shown["errors"][-1]["discarded_by"] == "ann"


@pytest.mark.parametrize("words", [(), ("7", "--all"), ("--all", "--kind", "Mail"), ("7", "--kind", "Mail")])
def test_requeue_wants_to_know_exactly_which(cli: Cli, conn: Conn, words: tuple[str, ...]) -> None:
    job = dead(conn)
    ran = cli("dead", "requeue", *words)
    assert ran.code == 2
    assert "ids, or a filter" in ran.err
    assert _left(conn) == [job]


def test_discard_without_a_reason_is_refused(cli: Cli, conn: Conn) -> None:
    ran = cli("dead", "discard", dead(conn))
    assert ran.code == 2
    assert "--reason" in ran.err


def test_a_rate_spreads_the_jobs_over_time_across_pages(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    ids = [dead(conn) for _ in range(5)]
    ran = cli("dead", "requeue", "--kind", "Mail", "--rate", "30/m")
    assert ran.out.endswith(", the last one due in 8s\n")
    rows = conn.execute(
        """SELECT id, round(extract(epoch FROM run_at - pgqueue.clock()) / 2) FROM pgqueue.jobs
           WHERE expires_at = run_at + interval '7 days' ORDER BY run_at"""
    ).fetchall()
    assert [row[0] for row in rows] == ids
    assert [int(row[1]) for row in rows] == [0, 1, 2, 3, 4]
    assert cli("actions", "--json").json[0]["filter"] == {"kind": "Mail", "rate": "30/m"}


def test_a_cap_leaves_the_rest_for_later(cli: Cli, conn: Conn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAGE", 2)
    ids = [dead(conn) for _ in range(5)]
    assert cli("dead", "requeue", "--all", "--limit", "3", "--dry-run", "--json").json["requeued"] == ids[:3]
    assert _left(conn) == ids
    assert cli("dead", "requeue", "--all", "--limit", "3", "--json").json["requeued"] == ids[:3]
    assert cli("dead", "discard", "--all", "--limit", "1", "--reason", "x", "--json").json["discarded"] == [ids[3]]
    assert _left(conn) == ids[4:]


def test_only_what_died_lately_is_requeued(cli: Cli, conn: Conn) -> None:
    old, new = dead(conn, ago="2 hours"), dead(conn, ago="5 minutes")
    assert [job["id"] for job in cli("dead", "--since", "1h", "--json").json] == [new]
    assert cli("dead", "requeue", "--since", "1h", "--json").json["requeued"] == [new]
    assert _left(conn) == [old]


@pytest.mark.parametrize("rate", ["50", "0/s", "-1/s", "fast", "1/d", "0.01/h"])
def test_a_rate_that_is_none_is_refused(cli: Cli, conn: Conn, rate: str) -> None:
    ran = cli("dead", "requeue", "--all", "--rate", rate)
    assert ran.code == 2
    assert "--rate" in ran.err


def test_a_bare_number_is_no_time(cli: Cli, conn: Conn) -> None:
    ran = cli("dead", "requeue", "--since", "60")
    assert ran.code == 2
    assert '"90s"' in ran.err
