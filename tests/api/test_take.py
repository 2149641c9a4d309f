"""Taking from a rate outside jobs, in the caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import Session

from pgqueue import Rate, take, take_async
from pgqueue.errors import ConfigurationError, InvalidJob

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

NOW = timedelta(0)
API = Rate(count=60, per="1m", burst=2, name="api")
OF_TENANT = Rate("organization_id", count=60, per="1m", name="api")


def test_what_is_left_is_taken_and_then_the_wait_is_told(conn: psycopg.Connection[tuple[Any, ...]]) -> None:
    assert [take(conn, API), take(conn, API)] == [NOW, NOW]
    assert timedelta(seconds=0.5) < take(conn, API) <= timedelta(seconds=1)
    assert take(conn, OF_TENANT, "acme") == NOW
    assert take(conn, API, weight=2) > timedelta(seconds=1)


def test_it_counts_if_the_callers_transaction_commits(engine: sa.Engine) -> None:
    with Session(engine) as session:
        assert take(session, OF_TENANT, "acme") == NOW
        session.rollback()
        assert take(session, OF_TENANT, "acme") == NOW
        session.commit()
        assert take(session, OF_TENANT, "acme") > NOW


@pytest.mark.anyio
async def test_the_same_awaited(aconn: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    assert await take_async(aconn, OF_TENANT, "acme") == NOW
    assert await take_async(aconn, OF_TENANT, "acme") > NOW


@pytest.mark.parametrize(
    ("rate", "value", "weight", "says"),
    [
        (Rate(count=1, per="1s"), None, 1, "has no name"),
        (API, "acme", 1, "has no key for a value"),
        (OF_TENANT, None, 1, "say whose"),
        (API, None, 3, "give 1 to the burst"),
        (API, None, 0, "give 1 to the burst"),
        (OF_TENANT, "x" * 10_000, 1, "has 10,000 characters"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    conn: psycopg.Connection[tuple[Any, ...]], rate: Rate, value: object, weight: int, says: str
) -> None:
    with pytest.raises((ConfigurationError, InvalidJob), match=says):
        take(conn, rate, value, weight=weight)
