"""`pgqueue limits`, `pgqueue weights` and `pgqueue queues order`: what is set at run time holds at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue import Context, Job, JobContext, Limit, Queue, Rate, Settings
from tests.cli.rows import worker
from tests.sql.client import NO_TERM, Connection, Relay, claim, ended, enqueue_row, scalar, settle

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.fixture
def relay(conn: Connection) -> Relay:
    return Relay(conn, NO_TERM)


def test_a_bare_limits_lists_what_is_taken_and_what_is_held(cli: Cli, conn: Connection, relay: Relay) -> None:
    assert "nothing is limited" in cli("limits").out
    enqueue_row(conn, 5, limits=["2 Mail.organization_id=acme"])
    relay.tick()
    assert cli("limits", "--json").json == [
        {
            "key": "Mail.organization_id=acme",
            "running": 2,
            "rate": None,
            "taken": 2,
            "held": 3,
            "set_by": None,
            "set_at": None,
        }
    ]
    assert "Mail.organization_id=acme" in cli("limits", "list").out


class Letter(Job, limit=[Limit("to", running=1), Rate("to", count=60, per="1s")]):
    to: str

    async def run(self, app: object, ctx: JobContext) -> None:
        """Never run."""


def test_a_key_may_have_any_characters_and_is_shown_in_one_line(cli: Cli, conn: Connection, relay: Relay) -> None:
    queue, context = Queue(Settings(environment={}), wake="off"), Context("acme", "ann")
    letter = Letter(to='Ann,\n"\\1=\tHere 2 "')
    queue.enqueue(conn, letter, context=context)
    queue.enqueue_many(conn, [letter] * 2, context=context)
    relay.tick()
    assert len(claim(conn)) == 1
    assert r'Letter.to=Ann,\x0a"\1=\x09Here 2 "' in cli("limits").out
    assert cli("limits", "set", f"Letter.to={letter.to}", "--running", 3).code == 0
    relay.tick()
    assert len(claim(conn)) == 2


def test_raising_a_limit_admits_at_once(cli: Cli, conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 5, limits=["2 Mail.organization_id=acme"])
    enqueue_row(conn, 5, limits=["2 Mail.organization_id=other"])
    relay.tick()
    assert cli("limits", "set", "Mail.organization_id=acme", "--running", 4, "--by", "ann").code == 0
    relay.tick()
    assert len(claim(conn)) == 6
    (acme, other) = sorted(cli("limits", "--json").json, key=lambda row: row["key"])
    assert (acme["running"], acme["taken"], acme["set_by"]) == (4, 4, "ann")
    assert (other["running"], other["taken"]) == (2, 2)


def test_a_limit_of_a_name_is_one_for_each_of_its_keys(cli: Cli, conn: Connection, relay: Relay) -> None:
    for key in ("acme", "other"):
        enqueue_row(conn, 5, limits=[f"2 Mail.organization_id={key}"])
    relay.tick()
    cli("limits", "set", "Mail.organization_id", "--running", 3)
    relay.tick()
    assert len(claim(conn)) == 6


def test_lowering_a_limit_lets_what_runs_end(cli: Cli, conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 9, limits=["3 a"])
    relay.tick()
    jobs = claim(conn)
    cli("limits", "set", "a", "--running", 1)
    relay.tick()
    assert settle(conn, *(ended(job, "complete") for job in jobs)) == set()
    relay.tick()
    assert len(claim(conn)) == 1


def test_a_limit_that_is_unset_is_the_classs_again(cli: Cli, conn: Connection, relay: Relay) -> None:
    cli("limits", "set", "a", "--running", 1)
    enqueue_row(conn, 9, limits=["3 a"])
    relay.tick()
    assert cli("limits", "unset", "a").code == 0
    relay.tick()
    assert len(claim(conn)) == 3
    assert "no limit 'a' was set" in cli("limits", "unset", "a").err


def test_a_queue_that_is_limited_calls_back_what_stood_in_line(cli: Cli, conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 9)
    relay.tick()
    running = claim(conn, 2)
    cli("limits", "set", "queue:default", "--running", 3)
    relay.tick()
    assert len(claim(conn)) == 1
    assert cli("limits", "--json").json[0]["taken"] == 3
    settle(conn, *(ended(job, "complete") for job in running))
    relay.tick()
    assert len(claim(conn)) == 2
    cli("limits", "unset", "queue:default")
    relay.tick()
    assert len(claim(conn)) == 4


def test_a_kind_is_limited_in_all_queues(cli: Cli, conn: Connection, relay: Relay) -> None:
    cli("limits", "set", "kind:K", "--running", 2)
    enqueue_row(conn, 3)
    enqueue_row(conn, 3, queue="other")
    enqueue_row(conn, 3, queue="other", kind="Free")
    relay.tick()
    assert len(claim(conn)) + len(claim(conn, queue="other")) == 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("limits", "set", "a", "--running", "0"), "give 1 to 1,000,000"),
        (("limits", "set", "a", "--running", "-1"), "give 1 to"),
        (("limits", "set", "k" * 10_000, "--running", "1"), "1 to 300 printable characters, this one has 10,000"),
        (("limits", "set", "rate:a", "--running", "1"), "give --count and --per"),
        (("limits", "set", "rate:a", "--count", "0", "--per", "1m"), "a rate has count=0"),
        (("limits", "set", "rate:a", "--count", "1", "--per", "60"), "write a length of time with its unit"),
        (("weights", "set", "acme", "0"), "the weight is 0; give 1 to 1000"),
        (("weights", "set", "a" * 65, "2"), "1 to 64 characters"),
        (("weights", "unset", "acme"), "has no weight of its own"),
        (("queues", "order", "default", "random"), "give one of fair, fifo, unset"),
        (("queues", "order", "nowhere", "fair"), "unknown queue 'nowhere'"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_sentence(cli: Cli, words: tuple[str, ...], says: str) -> None:
    ran = cli(*words)
    assert ran.code == 2
    assert says in ran.err


def test_weights_are_set_listed_and_forgotten(cli: Cli) -> None:
    assert "every organization has the weight 1" in cli("weights").out
    cli("weights", "set", "acme", 3, "--by", "ann")
    (row,) = cli("weights", "--json").json
    assert (row["organization_id"], row["weight"], row["set_by"]) == ("acme", 3, "ann")
    cli("weights", "unset", "acme")
    assert cli("weights", "--json").json == []


def test_a_queue_is_made_fair_at_run_time_and_left_to_the_settings_again(cli: Cli, conn: Connection) -> None:
    conn.execute("SELECT pgqueue.add_queue('default')")
    assert cli("queues", "order", "default", "fair", "--by", "ann", "--json").json == {
        "queue": "default",
        "order": "fair",
    }
    query = 'SELECT ("order", order_set_by)::text FROM pgqueue.queues'
    assert scalar(conn, query) == "(fair,ann)"
    cli("queues", "order", "default", "unset")
    assert scalar(conn, query) == "(fair,)"


def test_who_looks_needs_no_rights_on_the_relay(cli: Cli, database_url: str, conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 5, limits=["2 a"])
    relay.tick()
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM pgqueue.turns WHERE name = 'relay' FOR UPDATE")
        assert cli("limits").code == 0
        assert cli("limits", "set", "a", "--running", 3).code == 0


def test_a_rate_is_set_at_run_time(cli: Cli, conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 5, limits=["1/60000000/1/1 rate:api=acme"])
    relay.tick()
    assert len(claim(conn)) == 1
    assert cli("limits", "set", "rate:api", "--count", 100, "--per", "1s").code == 0
    relay.tick()
    assert len(claim(conn)) == 4
    assert cli("limits", "set", "rate:api=other", "--count", 1, "--per", "1h", "--burst", 3).code == 0
    (row,) = [row for row in cli("limits", "--json").json if row["key"] == "rate:api=other"]
    assert row["rate"] == "1/3600000000/3"


def test_a_limit_that_nothing_counts_against_is_set_with_a_warning(cli: Cli, conn: Connection, relay: Relay) -> None:
    worker(conn, kinds=["Mail@1"])
    enqueue_row(conn, 1, limits=["2 provider=x", "60/60000000/10/1 rate:api=x"])
    relay.tick()
    for known in ("Mail.organization_id=acme", "kind:Mail", "queue:default", "provider", "kind:K"):
        ran = cli("limits", "set", known, "--running", 1)
        assert (ran.code, ran.err) == (0, "")
    assert cli("limits", "set", "rate:api=y", "--count", 1, "--per", "1s").err == ""
    for unknown in ("Nope.key=x", "kind:Nope", "queue:nope"):
        ran = cli("limits", "set", unknown, "--running", 1)
        assert ran.code == 0
        assert ran.err.startswith(f"pgqueue: warning: nothing counts against {unknown.partition('=')[0]!r} now")
    assert "known: kind:K, kind:Mail, provider, rate:api\n" in cli("limits", "set", "Nope.key=x", "--running", 1).err
