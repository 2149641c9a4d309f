"""Databases that live as long as a test, and a real worker on one of them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
from psycopg import sql

from pgqueue.db import driver_url, run
from pgqueue.migrate import upgrade
from pgqueue.queries.upkeep import Upkeep
from pgqueue.telemetry import Telemetry
from pgqueue.testing.tester import finished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pgqueue.app import App
    from pgqueue.telemetry import Subscriber


@contextmanager
def temporary_database(server: str, template: str = "template0") -> Iterator[str]:
    """Make a database on this server, a copy of ``template``; give its URL; drop it, with whoever is connected."""
    from sqlalchemy import make_url

    name = f"pgqueue_test_{uuid4().hex}"
    url = driver_url(server)
    with psycopg.connect(url, autocommit=True) as admin:
        # the default strategy reads a template in the WAL, which is faster for one as small as this
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield make_url(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def prepare(url: str, app: App) -> None:
    """Make the queue's tables, and the App's queues known, so that tests which run beside each other need not."""
    upgrade(url, app.settings.schema_name)
    with psycopg.connect(driver_url(url)) as conn:
        run(conn, Upkeep(app.settings.schema_name).add_queues(list(app.settings.queues)))


async def work_async(app: App, url: str, *, subscribers: Sequence[Subscriber] = ()) -> int:
    """Run a real worker on this database until nothing is left that is due; returns its exit code."""
    from pgqueue.worker import limits
    from pgqueue.worker.process import Worker

    worker = Worker(app, url, limits(app, None), Telemetry(subscribers), until_empty=True)
    return await asyncio.create_task(worker.run())


def work(app: App, url: str, *, subscribers: Sequence[Subscriber] = ()) -> int:
    """Run a real worker on this database until nothing is left that is due; returns its exit code."""
    return finished(work_async(app, url, subscribers=subscribers))
