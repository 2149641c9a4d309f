"""What commits, on a database of the test's own: a real worker, the clock of a whole database."""

import shop
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from pgqueue.testing import DatabaseClock, work


def test_an_order_from_start_to_end(pgqueue_database: str, pgqueue_clock: DatabaseClock) -> None:
    engine = create_engine(make_url(pgqueue_database).set(drivername="postgresql+psycopg"))
    with Session(engine) as session:
        shop.place_order(session, 7)
        assert work(shop.app, pgqueue_database) == 0
        assert session.scalar(text("SELECT state FROM orders")) == "shipped"
        session.commit()
        pgqueue_clock.advance("8d")
        work(shop.app, pgqueue_database)
        assert session.scalar(text("SELECT state FROM orders")) == "reviewed"
    engine.dispose()
