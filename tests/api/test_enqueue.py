"""A job exists if and only if the transaction commits, whatever the transaction is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from pgqueue import Context, Queue, Settings, bind
from pgqueue.errors import InvalidJob, MissingContext, TransactionUnusable, UnknownQueue
from tests.api.jobs import CONTEXT, SETTINGS, Astray, Base, Letter, enqueued

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.jobs import Row

queue = Queue(SETTINGS, wake="off")
KINDS = ["session", "scoped session", "connection", "psycopg connection", "psycopg cursor"]


@contextmanager
def transaction(kind: str, engine: sa.Engine, url: str) -> Iterator[Any]:
    """A transaction as an application would open it; commits unless the block raises."""
    if kind == "session":
        with Session(engine) as session, session.begin():
            yield session
    elif kind == "scoped session":
        scoped = scoped_session(sessionmaker(engine))
        try:
            with scoped.begin():
                yield scoped
        finally:
            scoped.remove()
    elif kind == "connection":
        with engine.begin() as connection:
            yield connection
    else:
        with psycopg.connect(url) as connection:
            yield connection if kind == "psycopg connection" else connection.cursor()


def roll_back(transaction: psycopg.Transaction) -> None:
    """Leave its block, which swallows this."""
    raise psycopg.Rollback(transaction)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_exists_once_the_transaction_commits(
    kind: str, engine: sa.Engine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    with transaction(kind, engine, database_url) as tx:
        first = queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        many = queue.enqueue_many(tx, [Letter(to="bob"), Letter(to="cid")], context=CONTEXT)
        assert enqueued(conn) == []
    assert enqueued(conn) == sorted([first, *many])


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollback_leaves_no_job(
    kind: str, engine: sa.Engine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    with pytest.raises(ValueError, match="boom"), transaction(kind, engine, database_url) as tx:  # noqa: PT012 - the whole transaction fails
        queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        queue.enqueue_many(tx, [Letter(to="bob")], context=CONTEXT)
        raise ValueError("boom")
    assert enqueued(conn) == []


@pytest.mark.parametrize("kind", ["session", "connection"])
def test_a_savepoint_that_is_rolled_back_takes_its_job_along(
    kind: str, engine: sa.Engine, database_url: str, conn: psycopg.Connection[Row]
) -> None:
    with transaction(kind, engine, database_url) as tx:
        outer = queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        savepoint = tx.begin_nested()
        queue.enqueue(tx, Letter(to="bob"), context=CONTEXT)
        savepoint.rollback()
        with tx.begin_nested():
            kept = queue.enqueue(tx, Letter(to="cid"), context=CONTEXT)
    assert enqueued(conn) == [outer, kept]


def test_a_savepoint_of_psycopg_is_respected(database_url: str, conn: psycopg.Connection[Row]) -> None:
    with psycopg.connect(database_url) as tx:
        outer = queue.enqueue(tx, Letter(to="ann"), context=CONTEXT)
        with tx.transaction() as savepoint:
            queue.enqueue(tx, Letter(to="bob"), context=CONTEXT)
            roll_back(savepoint)
    assert enqueued(conn) == [outer]


def test_an_autocommit_connection_commits_at_once(conn: psycopg.Connection[Row]) -> None:
    first = queue.enqueue(conn, Letter(to="ann"), context=CONTEXT)
    many = queue.enqueue_many(conn, [Letter(to="bob"), Letter(to="cid")], context=CONTEXT)
    assert enqueued(conn) == [first, *many]


def test_a_connection_without_a_transaction_begins_one(engine: sa.Engine, conn: psycopg.Connection[Row]) -> None:
    with engine.connect() as connection:
        queue.enqueue(connection, Letter(to="ann"), context=CONTEXT)
        assert connection.in_transaction()
    assert enqueued(conn) == []


def test_what_the_session_only_remembers_is_written_first(engine: sa.Engine, conn: psycopg.Connection[Row]) -> None:
    metadata = sa.MetaData()
    table = sa.Table("letters", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
    metadata.create_all(engine)
    from sqlalchemy.orm import registry

    class Body:
        def __init__(self, body: str) -> None:
            self.body = body

    registry().map_imperatively(Body, table)
    with Session(engine) as session, session.begin():
        session.add(Body("dear Ann"))
        queue.enqueue(session, Letter(to="ann"), context=CONTEXT)
        connection = session.connection()
        assert connection.execute(sa.text("SELECT count(*) FROM letters")).scalar() == 1
        assert not session.new


def test_a_row_holds_what_the_job_said(conn: psycopg.Connection[Row]) -> None:
    context = Context("acme", "ann", UUID(int=9))
    queue.enqueue(conn, Letter(to="zoë 🙂", copies=2), context=context)
    row = conn.execute(
        """SELECT queue, kind, args, organization_id, user_id, correlation_id, payload_version, max_attempts,
                  extract(epoch FROM max_age)::int, run_at, delay FROM pgqueue.outbox"""
    ).fetchone()
    assert row == (
        "mail", "Letter", {"to": "zoë 🙂", "copies": 2}, "acme", "ann", UUID(int=9), 3, 4, 7200, None, None,
    )  # fmt: skip


def test_every_dispatch_has_a_trace_of_its_own(conn: psycopg.Connection[Row]) -> None:
    queue.enqueue(conn, Letter(to="a"), context=CONTEXT)
    queue.enqueue(conn, Letter(to="b"), context=CONTEXT)
    queue.enqueue_many(conn, [Letter(to="c"), Letter(to="d")], context=CONTEXT)
    queue.enqueue_many(conn, [Letter(to="e")], context=CONTEXT)
    row = conn.execute("SELECT count(DISTINCT trace_id), count(DISTINCT correlation_id) FROM pgqueue.outbox").fetchone()
    assert row == (5, 1)


def test_sql_enqueues_as_well(conn: psycopg.Connection[Row]) -> None:
    with conn.transaction() as tx:
        conn.execute("SELECT pgqueue.enqueue('Letter', '{\"to\": \"ann\"}', 'acme', 'ann', queue => 'mail')")
        roll_back(tx)
    assert enqueued(conn) == []
    row = conn.execute(
        "SELECT pgqueue.enqueue('Letter', '{\"to\": \"ann\"}', 'acme', 'ann', queue => 'mail', delay => '5s')"
    ).fetchone()
    assert row
    assert enqueued(conn) == [row[0]]


# ── contexts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_context_is_refused_and_nothing_is_enqueued(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(MissingContext, match="default_organization_id"):
        queue.enqueue(conn, Letter(to="ann"))
    with pytest.raises(MissingContext):
        queue.enqueue_many(conn, [Letter(to="ann")])
    assert enqueued(conn) == []


def test_a_bound_context_is_taken_and_a_given_one_is_over_it(conn: psycopg.Connection[Row]) -> None:
    with bind(Context("bound", "u")):
        queue.enqueue(conn, Letter(to="a"))
        queue.enqueue(conn, Letter(to="b"), context=CONTEXT)
        queue.enqueue_many(conn, [Letter(to="c")])
    rows = conn.execute("SELECT organization_id FROM pgqueue.outbox ORDER BY id").fetchall()
    assert rows == [("bound",), ("acme",), ("bound",)]


def test_an_application_without_tenants_says_so_once(conn: psycopg.Connection[Row]) -> None:
    settings = Settings(
        environment={}, queues=SETTINGS.queues, default_organization_id="only", default_user_id="system"
    )
    Queue(settings).enqueue(conn, Letter(to="a"))
    assert conn.execute("SELECT organization_id, user_id FROM pgqueue.outbox").fetchone() == ("only", "system")


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_queue_and_a_base_class_are_refused(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(UnknownQueue, match=r"'nowhere'.*default, mail"):
        queue.enqueue(conn, Astray(), context=CONTEXT)
    with pytest.raises(InvalidJob, match="base class"):
        queue.enqueue(conn, Base(), context=CONTEXT)


def test_one_bad_job_among_many_is_named_and_none_is_enqueued(conn: psycopg.Connection[Row]) -> None:
    with pytest.raises(InvalidJob, match=r"job number 2 .*NUL.*none was enqueued"):
        queue.enqueue_many(conn, [Letter(to="a"), Letter(to="b"), Letter(to="\x00")], context=CONTEXT)
    assert enqueued(conn) == []


def test_no_jobs_are_no_error(conn: psycopg.Connection[Row]) -> None:
    assert queue.enqueue_many(conn, [], context=CONTEXT) == []


def test_a_refused_job_does_not_fail_the_transaction(engine: sa.Engine, conn: psycopg.Connection[Row]) -> None:
    with Session(engine) as session, session.begin():
        with pytest.raises(InvalidJob):
            queue.enqueue(session, Letter(to="\x00"), context=CONTEXT)
        kept = queue.enqueue(session, Letter(to="a"), context=CONTEXT)
    assert enqueued(conn) == [kept]


def test_a_closed_connection_is_refused(engine: sa.Engine, database_url: str) -> None:
    with psycopg.connect(database_url) as closed:
        cursor = closed.cursor()
    with engine.connect() as connection:
        pass
    for unusable in (closed, cursor, connection):
        with pytest.raises(TransactionUnusable, match="closed"):
            queue.enqueue(unusable, Letter(to="a"), context=CONTEXT)


def test_a_failed_transaction_is_refused(engine: sa.Engine, database_url: str) -> None:
    with psycopg.connect(database_url) as failed:
        with pytest.raises(psycopg.errors.DivisionByZero):
            failed.execute("SELECT 1/0")
        with pytest.raises(TransactionUnusable, match="roll back"):
            queue.enqueue(failed, Letter(to="a"), context=CONTEXT)
        failed.rollback()
    with Session(engine) as session:
        with pytest.raises(sa.exc.DataError):
            session.execute(sa.text("SELECT 1/0"))
        with pytest.raises(TransactionUnusable, match="roll"):
            queue.enqueue(session, Letter(to="a"), context=CONTEXT)


def test_an_inactive_session_is_refused(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    table = sa.Table("once", metadata, sa.Column("id", sa.Integer, primary_key=True))
    metadata.create_all(engine)
    from sqlalchemy.orm import registry

    class Once:
        def __init__(self, number: int) -> None:
            self.id = number

    registry().map_imperatively(Once, table)
    with Session(engine) as session:
        session.add(Once(1))
        session.commit()
        session.expunge_all()
        session.add(Once(1))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
        with pytest.raises(TransactionUnusable, match="roll it back"):
            queue.enqueue(session, Letter(to="a"), context=CONTEXT)


def test_another_database_or_driver_is_refused() -> None:
    engine = sa.create_engine("sqlite://")
    with Session(engine) as session, pytest.raises(TransactionUnusable, match=r"sqlite3.Connection.*psycopg"):
        queue.enqueue(session, Letter(to="a"), context=CONTEXT)
    with engine.connect() as connection, pytest.raises(TransactionUnusable, match=r"postgresql.psycopg"):
        queue.enqueue(connection, Letter(to="a"), context=CONTEXT)
    engine.dispose()


@pytest.mark.parametrize("thing", [None, "postgresql://localhost/x", 17, object()])
def test_what_is_no_connection_at_all_is_refused(thing: Any) -> None:
    with pytest.raises(TransactionUnusable, match="give a Session"):
        queue.enqueue(thing, Letter(to="a"), context=CONTEXT)


def test_an_engine_is_no_transaction(engine: sa.Engine) -> None:
    with pytest.raises(TransactionUnusable, match="Engine"):
        queue.enqueue(engine, Letter(to="a"), context=CONTEXT)  # type: ignore[arg-type]  # the fault under test
