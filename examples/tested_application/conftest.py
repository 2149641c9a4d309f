"""What an application tells the testing kit: its App, and the session of a test."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
import shop
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from pgqueue import App
from pgqueue.testing import prepare, temporary_database


@pytest.fixture(scope="session")
def pgqueue_prepare() -> Callable[[str], None]:
    def tables(url: str) -> None:
        prepare(url, shop.app)
        with psycopg.connect(url) as conn:
            conn.execute(shop.TABLES)

    return tables


@pytest.fixture(scope="session")
def database(pgqueue_server: str, pgqueue_template: str) -> Iterator[str]:
    with temporary_database(pgqueue_server, pgqueue_template) as url:
        yield url


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()
    engine.dispose()


@pytest.fixture
def pgqueue_app() -> App:
    return shop.app


@pytest.fixture
def pgqueue_connection(session: Session) -> Session:
    return session
