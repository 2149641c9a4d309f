"""What the command line says of unique jobs that were merged, or cannot live again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.rows import relay

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn


def unique(conn: Conn) -> int:
    """A job that is the same each time."""
    row = conn.execute("SELECT pgqueue.enqueue('Mail', '{\"a\": 1}', 'acme', 'ann', unique_key => 'k')").fetchone()
    assert row is not None
    relay(conn)
    return int(row[0])


def died(conn: Conn) -> int:
    """A unique job in the dead letter queue."""
    job = unique(conn)
    conn.execute("SELECT pgqueue.claim(gen_random_uuid(), '{default}', '{1}', '30s')")
    conn.execute(
        """SELECT pgqueue.settle(ARRAY[id], ARRAY[claims], '{bury}', '{0}', '{"{\\"reason\\": \\"dead\\"}"}')
           FROM pgqueue.jobs WHERE id = %s""",
        [job],
    )
    return job


def test_show_of_a_merged_id_shows_the_job_that_does_its_work(cli: Cli, conn: Conn) -> None:
    first, second = unique(conn), unique(conn)
    ran = cli("jobs", "show", second)
    assert ran.out.startswith(f"job {second} was merged into job {first}, which is shown\n")
    assert "ready" in ran.out
    assert cli("jobs", "show", second, "--json").json["id"] == first


def test_show_of_a_merged_id_whose_job_is_gone_shows_what_is_left(cli: Cli, conn: Conn) -> None:
    first, second = unique(conn), unique(conn)
    conn.execute("DELETE FROM pgqueue.jobs")
    ran = cli("jobs", "show", second)
    assert ran.out.startswith(f"job {second} was merged into job {first}\n")
    assert cli("jobs", "show", second, "--json").json["state"] == "merged"


def test_merged_jobs_are_listed(cli: Cli, conn: Conn) -> None:
    first, second = unique(conn), unique(conn)
    assert [(job["id"], job["state"]) for job in cli("jobs", "--json").json] == [(second, "merged"), (first, "ready")]
    assert [job["id"] for job in cli("jobs", "list", "--state", "merged", "--json").json] == [second]


def test_cancel_of_a_merged_id_leaves_the_other_job_alone_and_says_so(cli: Cli, conn: Conn) -> None:
    first, second = unique(conn), unique(conn)
    ran = cli("jobs", "cancel", second)
    assert ran.code == 1
    assert f"goes on; `pgqueue jobs show {second}` says which\n" in ran.out
    assert cli("jobs", "show", first, "--json").json["state"] == "ready"


def test_requeue_says_what_was_left_dead_and_why(cli: Cli, conn: Conn) -> None:
    dead = died(conn)
    live = unique(conn)
    ran = cli("dead", "requeue", dead, 4711)
    assert ran.code == 1
    assert f"left dead, because the same job is live again (id {live}): {dead}\n" in ran.out
    assert "\nnot dead (any more): 4711; `pgqueue jobs show 4711`" in ran.out
    assert cli("dead", "requeue", dead, "--json").json["live_again"] == {str(dead): live}


def test_of_two_equal_dead_jobs_a_bulk_requeue_takes_one(cli: Cli, conn: Conn) -> None:
    first, second = died(conn), died(conn)
    ran = cli("dead", "requeue", "--all")
    assert ran.out.startswith(f"1 job requeued: {first}\n")
    assert f"live again (id {first}): {second}\n" in ran.out
