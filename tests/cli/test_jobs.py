"""`pgqueue jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.queries.control import Control
from tests.cli.rows import CORRELATION, dead, enqueue, ready, running

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def test_a_bare_noun_lists_and_takes_the_filters_of_the_list(cli: Cli, conn: Conn) -> None:
    enqueue(conn, "Mail")
    enqueue(conn, "Scan", queue="media")
    assert [job["kind"] for job in cli("jobs", "--json").json] == ["Scan", "Mail"]
    assert [job["kind"] for job in cli("jobs", "--queue", "media", "--json").json] == ["Scan"]


def test_jobs_are_found_in_every_state(cli: Cli, conn: Conn) -> None:
    running(conn)
    ready(conn)
    enqueue(conn)
    dead(conn)
    states = [job["state"] for job in cli("jobs", "list", "--json").json]
    assert states == ["dead", "enqueued", "ready", "running"]
    some = cli("jobs", "list", "--state", "ready", "--state", "running", "--json").json
    assert [job["state"] for job in some] == ["ready", "running"]


def test_jobs_are_found_by_organization_kind_and_correlation(cli: Cli, conn: Conn) -> None:
    ours = enqueue(conn, "Mail", organization="acme")
    enqueue(conn, "Mail", organization="other")
    enqueue(conn, "Scan", organization="acme")
    found = cli("jobs", "--organization", "acme", "--kind", "Mail", "--correlation", CORRELATION, "--json").json
    assert [job["id"] for job in found] == [ours]
    assert found[0]["correlation_id"] == str(CORRELATION)


def test_the_limit_gives_the_newest(cli: Cli, conn: Conn) -> None:
    ids = [enqueue(conn) for _ in range(4)]
    assert [job["id"] for job in cli("jobs", "--limit", 2, "--json").json] == [ids[3], ids[2]]


def test_a_table_without_a_terminal_is_aligned_plain_text(cli: Cli, conn: Conn) -> None:
    running(conn, "Mail")
    enqueue(conn, "SomethingLong")
    out = cli("jobs").out
    lines = out.splitlines()
    assert lines[0].split() == ["id", "state", "kind", "queue", "organization", "attempt", "age", "due", "reason"]
    start = lines[0].index("kind")
    assert lines[1][start:].startswith("SomethingLong")
    assert lines[2][start:].startswith("Mail")
    assert "\x1b" not in out


def test_an_empty_list_says_so(cli: Cli) -> None:
    assert cli("jobs").out == "no jobs\n"
    assert cli("jobs", "--json").json == []


def test_control_characters_in_data_never_reach_the_terminal(cli: Cli, conn: Conn) -> None:
    job = enqueue(conn, "Mail\x1b[31m", organization="a\x9b2Jc\u202e", args=r'{"a": "\u001b]0;title\u0007"}')
    for out in (cli("jobs").out, cli("jobs", "show", job).out):
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(out)
        assert r"Mail\x1b[31m" in out
        assert r"a\x9b2Jc\u202e" in out


def test_ids_above_2_53_are_strings_in_json(cli: Cli, conn: Conn) -> None:
    conn.execute("SELECT setval('pgqueue.job_ids', 9007199254740993)")
    job = enqueue(conn, args='{"large": 9007199254740993, "small": 7, "huge": 1e400}')
    assert [one["id"] for one in cli("jobs", "--json").json] == ["9007199254740994"]
    shown = cli("jobs", "show", job, "--json").json
    assert shown["args"] == {"large": "9007199254740993", "small": 7, "huge": shown["args"]["huge"]}


def test_show_tells_everything_about_one_job(cli: Cli, conn: Conn) -> None:
    job = running(conn)
    shown = cli("jobs", "show", job, "--json").json
    assert shown["state"] == "running"
    assert shown["args"] == {"a": 1}
    assert shown["attempt"] == 1
    assert shown["started_at"].endswith("+00:00")
    out = cli("jobs", "show", job).out
    assert "state            running" in out
    assert '"a": 1' in out


def test_arguments_nested_beyond_reason_are_shown_as_text(cli: Cli, conn: Conn) -> None:
    deep = '{"a": ' + "[" * 5000 + "]" * 5000 + "}"
    job = enqueue(conn, args=deep)
    assert cli("jobs", "show", job, "--json").json["args"].startswith('{"a": [[[')
    assert cli("jobs", "show", job).code == 0


def test_show_of_an_id_no_longer_kept_says_so(cli: Cli, conn: Conn) -> None:
    job = enqueue(conn)
    conn.execute("DELETE FROM pgqueue.outbox")
    ran = cli("jobs", "show", job)
    assert ran.code == 2
    assert "not kept any more" in ran.err
    ran = cli("jobs", "show", job + 1)
    assert ran.code == 2
    assert f"the last one has the id {job}" in ran.err


def test_cancel_ends_waiting_jobs_and_asks_running_ones(cli: Cli, conn: Conn) -> None:
    runs = running(conn)
    waits = ready(conn)
    new = enqueue(conn)
    ran = cli("jobs", "cancel", runs, waits, new, 10**9, "--reason", "not needed", "--json")
    assert ran.code == 1
    assert [one["result"] for one in ran.json] == ["asked", "cancelled", "cancelled", "not live"]
    assert cli("jobs", "show", waits, "--json").json["reason"] == "not needed"
    assert cli("jobs", "show", runs, "--json").json["state"] == "running"


def test_cancel_says_what_became_of_each_job(cli: Cli, conn: Conn) -> None:
    job = enqueue(conn)
    ran = cli("jobs", "cancel", job)
    assert (ran.code, ran.out) == (0, f"job {job} cancelled\n")
    ran = cli("jobs", "cancel", job)
    assert (ran.code, ran.out) == (2, f"job {job} is not live; `pgqueue jobs show {job}` says where it is\n")


def test_the_list_reads_each_table_along_its_key_however_many_jobs_there_are(conn: Conn) -> None:
    conn.execute(
        """INSERT INTO pgqueue.jobs (id, enqueued_at, position, correlation_id, trace_id, queue, kind, organization_id,
             user_id, args)
           SELECT g, now(), g, gen_random_uuid(), gen_random_uuid(), 'default', 'K', 'o', 'u', '{}'
           FROM generate_series(1, 20000) g"""
    )
    conn.execute(
        """INSERT INTO pgqueue.finished_jobs (keep_until, finished_at, id, state, queue, kind, payload_version,
             organization_id, user_id, correlation_id, trace_id, attempt, crashes, claims, enqueued_at, args, errors)
           SELECT now() + interval '1 hour', now(), 20000 + g, 'completed', 'default', 'K', 1, 'o', 'u',
             gen_random_uuid(), gen_random_uuid(), 1, 0, 1, now(), '{}', '[]' FROM generate_series(1, 20000) g"""
    )
    conn.execute("ANALYZE")
    for query in (Control().find_jobs(limit=50), Control().show_job(15_000), Control().show_job(35_000)):
        plan = conn.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.sql}", query.params).fetchone()
        assert plan is not None
        top = plan[0][0]["Plan"]
        assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 100
