"""`pgqueue doctor`: each finding is provoked, and a healthy queue has none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue.doctor import examine
from pgqueue.doctor import server as server_checks
from pgqueue.doctor.finding import Finding, Limits
from tests.cli.rows import dead, enqueue, ready, running, worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

# The test server is made to be thrown away, and says so.
_THROW_AWAY = ("setting-fsync", "setting-full-page-writes", "setting-synchronous-commit")


@pytest.fixture
def look(conn: Conn, database_url: str) -> Callable[..., dict[str, Finding]]:
    def call(*, kinds: list[str] | None = None, limits: Limits | None = None) -> dict[str, Finding]:
        found = examine(conn, "pgqueue", database_url, kinds=kinds, limits=limits)
        return {one.code: one for one in found if one.code not in _THROW_AWAY}

    return call


def test_a_healthy_queue_has_no_findings(cli: Cli, conn: Conn) -> None:
    worker(conn)
    ready(conn)
    running(conn)
    ignored = [word for code in _THROW_AWAY for word in ("--ignore", code)]
    ran = cli("doctor", *ignored)
    assert (ran.code, ran.out) == (0, "nothing found: the queue is well\n")


def test_faults_make_the_exit_code_1_and_stand_first(cli: Cli, conn: Conn) -> None:
    ready(conn)
    dead(conn)
    ran = cli("doctor", "--json")
    assert ran.code == 1
    severities = [one["severity"] for one in ran.json["findings"]]
    assert severities == sorted(severities, key=["fault", "warning", "note"].index)
    assert ran.json["faults"] == severities.count("fault") >= 1
    out = cli("doctor").out
    assert "FAULT: nobody serves the queue default" in out
    assert "pgqueue work --queues default" in out


def test_warnings_alone_do_not_fail(cli: Cli, conn: Conn) -> None:
    dead(conn)
    ignored = [word for code in _THROW_AWAY for word in ("--ignore", code)]
    ran = cli("doctor", *ignored, "--json")
    assert ran.code == 0
    assert [one["code"] for one in ran.json["findings"]] == ["dead-letters"]


def test_a_missing_schema_is_a_finding_not_an_error(bare_cli: Cli, empty_database_url: str) -> None:
    ran = bare_cli("doctor", "--json", url=empty_database_url)
    assert ran.code == 1
    schema = next(one for one in ran.json["findings"] if one["code"] == "schema")
    assert schema["advice"] == "run `pgqueue migrate`"


def test_an_older_and_a_newer_schema_are_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    conn.execute("UPDATE pgqueue.stamp SET version = 0, least_worker = 0")
    assert "older" in look()["schema"].title
    conn.execute("UPDATE pgqueue.stamp SET version = 99, least_worker = 99")
    assert "newer" in look()["schema"].title
    conn.execute("UPDATE pgqueue.stamp SET version = 99, least_worker = 1")
    assert look()["schema-ahead"].severity == "note"


@pytest.mark.own_database
def test_a_cached_id_sequence_is_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    conn.execute("ALTER SEQUENCE pgqueue.job_ids CACHE 20")
    assert "CACHE 20" in look()["sequence-cache"].title


def test_an_outbox_that_does_not_move_is_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    job = enqueue(conn)
    assert "outbox-stands-still" not in look()
    conn.execute("UPDATE pgqueue.outbox SET enqueued_at = enqueued_at - interval '11 seconds'")
    found = look()["outbox-stands-still"]
    assert found.details["id"] == job
    assert "No worker is alive" in found.meaning
    worker(conn)
    assert "1 worker process(es) live" in look()["outbox-stands-still"].meaning


def test_parked_jobs_of_an_unknown_kind_are_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    job = ready(conn, "Gone")
    conn.execute("UPDATE pgqueue.jobs SET position = NULL, run_at = NULL, hold = 'kind:Gone@2', payload_version = 2")
    found = look()["unknown-kind"]
    assert found.details == {"why": "parked", "kind": "Gone", "payload_version": 2, "jobs": 1, "sample_id": job}
    assert "keep a class with kind=" in found.advice
    assert "restart workers" in look(kinds=["Gone"])["unknown-kind"].advice


def test_refused_jobs_are_found_before_they_are_parked(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    ready(conn, "Gone")
    conn.execute("UPDATE pgqueue.jobs SET position = NULL, run_at = pgqueue.clock(), refusals = 1")
    assert look()["unknown-kind"].details["why"] == "refused"


def test_ready_jobs_that_no_living_worker_knows_are_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    worker(conn, kinds=["Mail@1", "Scan"])
    ready(conn, "Mail")
    ready(conn, "Scan")
    assert "unknown-kind" not in look()
    ready(conn, "Gone")
    assert look()["unknown-kind"].details["why"] == "unserved"


def test_a_newer_version_than_any_living_worker_knows_is_found(
    conn: Conn, look: Callable[..., dict[str, Finding]]
) -> None:
    worker(conn, kinds=["Mail@1"])
    ready(conn, "Mail")
    conn.execute("UPDATE pgqueue.jobs SET payload_version = 2")
    assert look()["unknown-kind"].details["payload_version"] == 2


def test_garbage_arguments_between_good_ones_hide_nothing(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    ready(conn, "Mail", args='{"a": ' + "[" * 3000 + "]" * 3000 + "}")
    ready(conn, "Mail", args=r'{"a": "\ud83d\ude00 \u001b[31m"}')
    assert look()["unserved-queue"].title.startswith("nobody serves the queue default: 2 job(s)")


def test_silent_workers_are_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    worker(conn, silent_for="10 minutes")
    assert "host-1 pid 4242 (for 10 minutes)" in look()["silent-workers"].title


def test_a_paused_queue_with_ready_jobs_is_noted(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    ready(conn)
    conn.execute("UPDATE pgqueue.queues SET paused_at = pgqueue.clock(), paused_by = 'ann'")
    found = look()["paused-queue"]
    assert (found.severity, found.title) == ("note", "the queue default is paused by ann, 1 job(s) are ready")


def test_jobs_whose_leases_expired_long_ago_are_found(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    job = running(conn)
    assert "expired-leases" not in look()
    conn.execute("UPDATE pgqueue.jobs SET lease_until = pgqueue.clock() - interval '25 seconds'")
    assert look()["expired-leases"].details == {"ids": [job]}


def test_dead_letters_are_summed_up(conn: Conn, look: Callable[..., dict[str, Finding]]) -> None:
    dead(conn, "Mail")
    dead(conn, "Mail")
    dead(conn, "Scan", error="disk full")
    found = look()["dead-letters"]
    assert found.title.startswith("3 dead letter(s), most of them: 2 x ValueError in Mail")


def test_the_oldest_snapshot_is_named_with_its_holder(
    database_url: str, look: Callable[..., dict[str, Finding]]
) -> None:
    with psycopg.connect(database_url, application_name="nightly report") as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM pgqueue.jobs")
        assert "old-snapshot" not in look()
        found = look(limits=Limits(snapshot_age=0))["old-snapshot"]
        assert f"nightly report, pid {holder.info.backend_pid}" in found.title
        assert "SELECT count(*)" in found.title
        assert str(holder.info.backend_pid) in found.advice


def test_wake_ups_that_do_not_arrive_are_found(conn: Conn, template: str, database_url: str, server: str) -> None:
    # Notifications stay inside a database: listening on another one is what a pooler that drops them looks like.
    missing = list(server_checks.wake_ups(conn, server, Limits(wake_up=0.05)))
    assert [one.code for one in missing] == ["wake-ups"]
    assert "pooler?" in missing[0].advice
    assert list(server_checks.wake_ups(conn, database_url, Limits())) == []


def test_settings_that_lose_data_are_found(conn: Conn) -> None:
    conn.execute("SET synchronous_commit = off")
    conn.execute("SET default_transaction_isolation = 'serializable'")
    codes = {one.code for one in server_checks.settings(conn)}
    assert {"setting-synchronous-commit", "setting-isolation"} <= codes
    for name in ("fsync", "full_page_writes"):
        row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row is not None
        assert (f"setting-{name.replace('_', '-')}" in codes) == (row[0] == "off")


@pytest.mark.own_database
def test_a_check_that_may_not_look_does_not_hide_the_others(
    conn: Conn, look: Callable[..., dict[str, Finding]]
) -> None:
    enqueue(conn)
    conn.execute("UPDATE pgqueue.outbox SET enqueued_at = enqueued_at - interval '1 minute'")
    conn.execute("DROP TABLE pgqueue.dead_jobs CASCADE")
    found = look(limits=Limits(silent=timedelta(seconds=45)))
    assert "outbox-stands-still" in found
    assert "dead_by_error" in found["unchecked-dead-letters"].title
