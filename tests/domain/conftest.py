"""A database with both branches, both stand-ins, and the application on top of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.models import Base, Notification
from domain.standins import ClamdStandIn, MailStandIn, MastodonStandIn, ReceiverStandIn, StripeStandIn
from domain.use_cases import notifying
from pgqueue.testing import temporary_database
from tests.conftest import dbname, sqlalchemy_address
from tests.domain.api import Api, open_api
from tests.domain.networks import OnNetwork, connect, make
from tests.domain.world import Outside, World, open_world
from tests.kept import KEEPER, KeptDatabase, keep_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from domain.models import ScheduledPost
    from domain.unit_of_work import UnitOfWork

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def template(server: str, pgvector: None) -> Iterator[str]:
    """The name of a database with the queue's and the domain's tables, to be copied."""
    with temporary_database(server) as url:
        config = Config(ROOT / "alembic.ini")
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        command.upgrade(config, "heads")
        yield dbname(url)


@pytest.fixture(scope="session")
def kept_database(server: str, template: str) -> Iterator[KeptDatabase]:
    """What most tests of the domain have after each other."""
    with keep_database(server, template) as kept:
        yield kept


@pytest.fixture(scope="session")
def renewal() -> str:
    return "; ".join(f"DELETE FROM {table.fullname}" for table in reversed(Base.metadata.sorted_tables))


@pytest.fixture(scope="package")
async def kept_engine(kept_database: KeptDatabase, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """As long as the event loop of these tests: what it has compiled and connected serves the next one too."""
    url = sqlalchemy_address(kept_database.url)
    engine = create_async_engine(url, connect_args={"application_name": KEEPER})
    yield engine
    await engine.dispose()


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
async def world(
    database_url: str, kept_engine: AsyncEngine, outside: Outside, tmp_path: Path, anyio_backend: str
) -> AsyncIterator[World]:
    """Two organizations; the application with its use cases; a worker to run what they dispatch."""
    async with open_world(database_url, kept_engine, outside, tmp_path / "objects") as opened:
        yield opened


@pytest.fixture
async def on(world: World, request: pytest.FixtureRequest) -> AsyncIterator[OnNetwork]:
    """An account on the network that the parameter names."""
    with make(request.param) as network:
        yield await connect(world, request.param, network)


@pytest.fixture
def one_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all bad news be of the next hour, whichever hours the test runs in: one that ends meanwhile ends a digest."""
    middle = datetime.now(UTC).replace(minute=30) + timedelta(hours=1)
    store = notifying._notice

    async def stored(uow: UnitOfWork, news: notifying.News, story: Any) -> None:
        await store(uow, news, story)
        made_now = (Notification.dedupe_key == news.key, Notification.created_at == func.now())
        await uow.session.execute(update(Notification).where(*made_now).values(created_at=middle))

    monkeypatch.setattr(notifying, "_notice", stored)


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """The HTTP API on top of the world's application."""
    async with open_api(world) as opened:
        yield opened


@pytest.fixture
async def post(world: World) -> ScheduledPost:
    """A post that is published; what follows from it has not run yet."""
    post_id = await world.schedule()
    await world.work()
    return await world.post(post_id)
