"""A database with both branches, both stand-ins, and the application on top of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from domain.standins import ClamdStandIn, MailStandIn, MastodonStandIn, ReceiverStandIn, StripeStandIn
from tests.conftest import with_dbname
from tests.domain.world import Outside, World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def template(server: str, pgvector: None) -> Iterator[str]:
    """The name of a database with the queue's and the domain's tables, to be copied."""
    name = f"pgqueue_test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("sqlalchemy.url", with_dbname(server, name).replace("%", "%%"))
        command.upgrade(config, "heads")
        yield name
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def network() -> Iterator[MastodonStandIn]:
    with MastodonStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def mail() -> Iterator[MailStandIn]:
    with MailStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def clamd() -> Iterator[ClamdStandIn]:
    with ClamdStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    with StripeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def receiver() -> Iterator[ReceiverStandIn]:
    with ReceiverStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def outside(
    network: MastodonStandIn,
    mail: MailStandIn,
    clamd: ClamdStandIn,
    stripe: StripeStandIn,
    receiver: ReceiverStandIn,
) -> Outside:
    return Outside(network, mail, clamd, stripe, receiver)


@pytest.fixture
async def world(database_url: str, outside: Outside, tmp_path: Path, anyio_backend: str) -> AsyncIterator[World]:
    """Two organizations; the application with its use cases; a worker to run what they dispatch."""
    async with open_world(database_url, outside, tmp_path / "objects") as opened:
        yield opened
