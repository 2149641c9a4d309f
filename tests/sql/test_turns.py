"""take_turn: a role is kept while its holder can, and taken over when it cannot."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from tests.sql.client import Connection, advance_clock, scalar


def take(conn: Connection, token: int | None = None, term: str = "3 s") -> int | None:
    return cast("int | None", scalar(conn, "SELECT pgqueue.take_turn('upkeep', %s, %s::interval)", token, term))


def test_the_holder_keeps_its_role_and_others_wait(conn: Connection, other: Connection) -> None:
    token = take(conn)
    assert token is not None
    assert take(conn, token) == token  # no need to write anything before half the term
    assert take(other) is None
    assert take(other, token - 1) is None


def test_the_holder_renews_in_the_second_half_of_its_term(conn: Connection) -> None:
    token = take(conn)
    advance_clock(conn, timedelta(seconds=2))
    renewed = take(conn, token)
    assert token is not None
    assert renewed is not None
    assert renewed > token


def test_a_silent_holder_is_followed_by_somebody_else(conn: Connection, other: Connection) -> None:
    token = take(conn)
    advance_clock(conn, timedelta(seconds=4))
    theirs = take(other)
    other.commit()
    assert theirs is not None
    assert take(conn, token) is None


def test_two_do_not_take_a_free_role_at_once(conn: Connection, other: Connection) -> None:
    assert take(other) is not None
    assert take(conn) is None
    other.rollback()
    assert take(conn) is None  # the term was written all the same; it ends by itself
    advance_clock(conn, timedelta(seconds=4))
    assert take(conn) is not None


def test_a_term_written_under_a_wrong_clock_does_not_bind_for_years(conn: Connection) -> None:
    advance_clock(conn, timedelta(days=3650))
    assert take(conn) is not None
    advance_clock(conn, timedelta())
    assert take(conn) is not None
