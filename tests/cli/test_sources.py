"""`pgqueue sources remove`: nothing runs a second time, and nothing that waits is forgotten without a word."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pgqueue.db import run
from pgqueue.queries.carry import Carry
from tests.conftest import new_database
from tests.sql.client import Relay, column, enqueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli
    from tests.cli.rows import Conn

SOON = timedelta(milliseconds=1)


@pytest.fixture
def shop(cli: Cli, server: str, template: str) -> Iterator[Conn]:
    """The source's database."""
    with new_database(server, template) as url, psycopg.connect(url, autocommit=True) as conn:
        assert cli("sources", "add", "shop", url, "--by", "ann").code == 0
        yield conn


def url_of(shop: Conn) -> str:
    return f"postgresql://{shop.info.user}@/{shop.info.dbname}?host={shop.info.host}&port={shop.info.port}"


def carry(shop: Conn, conn: Conn, term: timedelta = SOON) -> None:
    """Carry what is there, and die before it is deleted in the source."""
    rows = run(shop, Carry().offer(None, batch=10)).rows
    run(conn, Carry().carry("shop", token=None, term=term, offered=rows))


def test_what_was_carried_is_never_run_a_second_time(cli: Cli, shop: Conn, conn: Conn) -> None:
    carried = enqueue(shop)
    carry(shop, conn)
    gone = cli("sources", "remove", "shop", url_of(shop), "--by", "bob", "--json")
    assert gone.json == {"source": "shop", "number": 1, "left": 0}
    assert column(shop, "SELECT id FROM pgqueue.outbox") == []
    assert column(conn, "SELECT id FROM pgqueue.jobs") == [carried]
    assert column(conn, "SELECT name FROM pgqueue.turns WHERE name LIKE 'carry%'") == []
    assert cli("sources", "add", "shop", url_of(shop)).out.startswith("shop is source number 2;")
    assert [(act["by"], act["verb"]) for act in cli("actions", "--json").json][1:] == [
        ("bob", "remove"),
        ("ann", "add"),
    ]


def test_what_waits_in_the_source_is_left_there_only_by_force(cli: Cli, shop: Conn) -> None:
    job = enqueue(shop)
    refused = cli("sources", "remove", "shop", url_of(shop))
    assert (refused.code, "1 jobs wait in its outbox" in refused.err, "--force" in refused.err) == (3, True, True)
    assert [row["name"] for row in cli("sources", "--json").json] == ["shop"]
    assert "1 jobs wait in its outbox" in cli("sources", "remove", "shop", url_of(shop), "--force").out
    Relay(shop).tick()
    assert column(shop, "SELECT id FROM pgqueue.jobs") == [job]
    again = cli("sources", "add", "shop", url_of(shop))
    assert (again.code, "jobs of its own" in again.err) == (3, True)


def test_a_source_is_not_removed_while_a_worker_carries_from_it(cli: Cli, shop: Conn, conn: Conn) -> None:
    carry(shop, conn, timedelta(seconds=3))
    refused = cli("sources", "remove", "shop", url_of(shop), "--force")
    assert (refused.code, "PGQUEUE_SOURCES" in refused.err) == (3, True)
    assert cli("sources", "--json").json[0]["name"] == "shop"


def test_a_source_that_is_unknown_or_of_another_name_is_not_removed(cli: Cli, shop: Conn, conn: Conn) -> None:
    unknown = cli("sources", "remove", "crm", url_of(shop))
    assert (unknown.code, unknown.err) == (2, "pgqueue: unknown source 'crm'; known: shop\n")
    run(conn, Carry().add_source("crm", by="ann"))
    other = cli("sources", "remove", "crm", url_of(shop))
    assert (other.code, 'is another source, "shop"' in other.err) == (3, True)
