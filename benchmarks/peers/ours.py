"""pgqueue, as its documentation has it: `pgqueue work` with what is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks.counting import done, started
from benchmarks.peer import Payload, Peer, database, variant
from pgqueue import App, Context, Job, Queue, Settings, migrate
from pgqueue.bench import measures
from pgqueue.db import sqlalchemy_url

if TYPE_CHECKING:
    from pgqueue import JobContext

LOGS = "info" if variant() == "logs" else "warning"
RETAIN = "1h" if variant() == "1h" else "0s"


class Noop(Job, retain=RETAIN, kind="benchmark.Noop"):
    """Typed arguments."""

    post_id: UUID
    account_id: UUID
    network: str
    size: int
    note: str

    async def run(self, app: object, ctx: JobContext) -> None:  # noqa: ARG002 - every job has them
        """Count."""
        done()


class Ping(Job, retain="0s", kind="benchmark.Ping"):
    """Tells when it started."""

    number: int

    async def run(self, app: object, ctx: JobContext) -> None:  # noqa: ARG002 - every job has them
        """Tell."""
        started(self.number)


def app() -> App:
    """Return the application that the worker serves."""
    return App(queue=_queue(), jobs=[Noop, Ping])


def _queue() -> Queue:
    return Queue(Settings(environment={}, database_url=database(), log_level=LOGS))


class Measured(Peer):
    """The public ways in."""

    def __init__(self) -> None:
        self._queue = _queue()
        self._conn = psycopg.connect(database(), autocommit=True)
        self._engine = sa.create_engine(sqlalchemy_url(database()))
        self._context = Context(organization_id=str(uuid4()), user_id=str(uuid4()))

    async def prepare(self) -> None:
        """Make the tables."""
        migrate.upgrade(database(), "pgqueue")

    async def enqueue(self, jobs: list[Payload]) -> None:
        """`enqueue_many`."""
        with self._conn.transaction():
            self._queue.enqueue_many(self._conn, [Noop.model_validate(job) for job in jobs], context=self._context)

    async def enqueue_each(self, jobs: list[Payload]) -> None:
        """`enqueue`, each in a transaction of its own."""
        for job in jobs:
            with self._conn.transaction():
                self._queue.enqueue(self._conn, Noop.model_validate(job), context=self._context)

    async def ping(self, number: int) -> None:
        """`enqueue` in a session of SQLAlchemy, which tells the relay after its commit."""
        with Session(self._engine) as session:
            self._queue.enqueue(session, Ping(number=number), context=self._context)
            session.commit()

    async def remaining(self) -> int:
        """Count what has not ended."""
        row = self._conn.execute("SELECT (SELECT count(*) FROM pgqueue.outbox) + (SELECT count(*) FROM pgqueue.jobs)")
        return int((row.fetchone() or [0])[0])

    async def make_ready(self) -> None:
        """Relay, unless it is measured together with the drain."""
        if variant() != "outbox":
            measures.relay(measures.Place(self._conn, database(), "pgqueue"))

    def worker(self) -> list[str]:
        """`pgqueue work`."""
        return ["-m", "pgqueue", "work", "--app", "benchmarks.peers.ours:app"]

    def settings(self) -> dict[str, str | int | float]:
        """Which of the settings differ from the defaults."""
        return {"retain": RETAIN, "logs": LOGS, "drain begins": "in the outbox" if variant() == "outbox" else "relayed"}
