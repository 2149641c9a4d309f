"""Limits that are set at run time, for a kind or a queue, and classes that change theirs."""

from __future__ import annotations

from tests.sql.client import (
    Connection,
    Relay,
    claim,
    ended,
    enqueue_row,
    held,
    settle,
    taken,
)


def test_a_limit_of_a_queue_holds_jobs_that_say_nothing(conn: Connection, relay: Relay) -> None:
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('queue:default', 2), ('kind:Rare', 1)")
    enqueue_row(conn, 3)
    enqueue_row(conn, 3, queue="other", kind="Rare")
    enqueue_row(conn, 3, queue="other")
    relay.tick()
    assert len(claim(conn)) == 2
    assert len(claim(conn, queue="other")) == 4


def test_the_table_is_asked_before_the_class(conn: Connection, relay: Relay) -> None:
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('mail', 1), ('mail=big', 3)")
    enqueue_row(conn, 9, limits=["2 mail=acme"])
    enqueue_row(conn, 9, limits=["2 mail=big"])
    relay.tick()
    assert (taken(conn, "mail=acme"), taken(conn, "mail=big")) == (1, 3)


def test_the_newest_job_says_what_its_class_says_now(conn: Connection, relay: Relay) -> None:
    enqueue_row(conn, 5, limits=["2 mail=acme"])
    enqueue_row(conn, 1, limits=["4 mail=acme"])
    relay.tick()
    assert taken(conn, "mail=acme") == 4


def test_a_kind_limited_again_counts_jobs_that_kept_the_name_of_the_limit(conn: Connection, relay: Relay) -> None:
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('kind:K', 1), ('queue:elsewhere', 1)")
    (job,) = enqueue_row(conn, 1)
    relay.tick()
    (claimed,) = claim(conn)
    settle(conn, ended(claimed, "snooze", 0, None))
    conn.execute("DELETE FROM pgqueue.limits WHERE name = 'kind:K'")
    relay.tick()
    relay.tick()
    assert [j.id for j in claim(conn)] == [job]
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('kind:K', 1)")
    conn.execute("SELECT pgqueue.recall('kind:K', 100)")
    (second,) = enqueue_row(conn, 1)
    relay.tick()
    assert taken(conn, "kind:K") == 1
    assert held(conn) == {second: "limit:kind:K"}


def test_a_kind_that_is_limited_while_its_jobs_run_counts_each_of_them_however_small_the_batches(
    conn: Connection, relay: Relay
) -> None:
    enqueue_row(conn, 3, limits=["5 mail=acme"])
    relay.tick()
    running = claim(conn)
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('kind:K', 1)")
    for _ in running:
        conn.execute("SELECT pgqueue.recall('kind:K', 1)")
    relay.tick()  # a new number for each: the old ones have been let go
    assert (taken(conn, "kind:K"), taken(conn, "mail=acme")) == (3, 3)
    settle(conn, *(ended(job, "complete") for job in running[:2]))
    relay.tick()
    assert (taken(conn, "kind:K"), taken(conn, "mail=acme")) == (1, 1)


def test_a_job_that_got_its_permit_before_its_kind_was_limited_counts_wherever_the_relay_has_stopped_looking(
    conn: Connection, relay: Relay
) -> None:
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('kind:K', 9)")
    enqueue_row(conn, 5)
    relay.tick()
    earlier = claim(conn)
    conn.execute("DELETE FROM pgqueue.limits")
    enqueue_row(conn, limits=["5 mail=acme"])
    relay.tick()
    claim(conn)
    conn.execute("SELECT setval('pgqueue.permit_numbers', nextval('pgqueue.permit_numbers') + 640)")
    settle(conn, *(ended(job, "complete") for job in earlier))
    relay.tick()
    conn.execute("INSERT INTO pgqueue.limits (name, running) VALUES ('kind:K', 1)")
    conn.execute("SELECT pgqueue.recall('kind:K', 100)")
    (second,) = enqueue_row(conn)
    relay.tick()
    assert held(conn) == {second: "limit:kind:K"}
