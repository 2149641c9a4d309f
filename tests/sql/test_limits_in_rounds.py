"""How the relay takes permits back: in batches, or later when it is in a hurry, and who gets the room."""

from __future__ import annotations

from tests.sql.client import NO_TERM, Connection, Relay, claim, ended, enqueue_row, held, scalar, settle, taken

TWO = ["2 mail=acme"]


def test_what_was_let_go_late_is_found_behind_the_mark_of_later_ones(
    conn: Connection, other: Connection, relay: Relay
) -> None:
    relay.term = NO_TERM
    enqueue_row(conn, 4, limits=TWO)
    enqueue_row(conn, 9, limits=["1 b"])
    relay.tick()
    jobs = claim(conn)
    early = [job for job in jobs if job.id <= 2]
    settle(other, *(ended(job, "complete") for job in early))  # takes its numbers first, commits last
    for _ in range(6):
        settle(conn, *(ended(job, "complete") for job in jobs if job.id > 2))
        relay.tick()
        jobs = claim(conn)
    other.commit()
    relay.tick()
    assert taken(conn, "mail=acme") == 2
    assert scalar(conn, "SELECT count(*) FROM pgqueue.freed") <= 1


def test_a_relay_in_a_hurry_lets_permits_lie_until_they_are_several_batches(conn: Connection, relay: Relay) -> None:
    relay.batch = 10
    enqueue_row(conn, 90, limits=["80 mail=acme"], lane=1)
    relay.tick()
    counted = []
    for _ in range(6):
        settle(conn, *(ended(job, "complete", 0) for job in claim(conn, 10)))
        assert relay.tick()["more"]
        counted.append(taken(conn, "mail=acme"))
    assert counted == [20, 30, 40, 50, 20, 30]
    while relay.tick()["more"]:
        pass
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn)))
    while relay.tick()["more"]:
        pass
    assert (taken(conn, "mail=acme"), scalar(conn, "SELECT count(*) FROM pgqueue.freed")) == (0, 0)


def test_a_job_that_was_held_because_permits_lay_is_admitted_by_the_next_round(conn: Connection, relay: Relay) -> None:
    relay.batch = 2
    enqueue_row(conn, 6, limits=TWO, lane=1)
    relay.tick()
    settle(conn, *(ended(job, "complete", 0) for job in claim(conn)))
    assert relay.tick()["more"]  # in a hurry: the third and the fourth find the key full
    assert held(conn) == dict.fromkeys([3, 4], "limit:mail=acme")
    relay.tick()
    assert sorted(job.id for job in claim(conn)) == [3, 4]


def test_in_a_hurry_nobody_passes_older_jobs_that_are_held(conn: Connection, relay: Relay) -> None:
    relay.batch = 2
    jobs = enqueue_row(conn, 8, limits=["4 mail=acme"])
    while relay.tick().get("more"):
        pass
    jobs += enqueue_row(conn, 3, limits=["4 mail=acme"])
    enqueue_row(conn, 9, lane=1)
    assert relay.tick()["more"]
    for job in claim(conn):
        settle(conn, ended(job, "complete"))
    relay.tick()
    assert held(conn).keys() == set(jobs[6:])


def test_keys_that_a_round_does_not_come_to_are_looked_at_by_the_next(conn: Connection, relay: Relay) -> None:
    relay.batch = 2
    for key in "abcd":
        enqueue_row(conn, 4, limits=[f"2 {key}"])
    while relay.tick().get("more"):
        pass
    settle(conn, *(ended(job, "complete") for job in claim(conn)))  # eight permits in one row: several batches
    for _ in range(5):
        relay.tick()
    assert held(conn) == {}
