"""Limits and fair queues with real workers."""

from __future__ import annotations

import asyncio

import pytest

from pgqueue import Context, Job, JobContext, Limit, QueueSettings
from tests.sql.client import scalar
from tests.worker.harness import Hall, until

pytestmark = pytest.mark.anyio


class Stage:
    """Counts who runs at once."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.order: list[str] = []
        self.gate = asyncio.Event()


class Mail(Job, limit=Limit("organization_id", running=2), retain="0s"):
    async def run(self, app: Stage, ctx: JobContext) -> None:
        whose = ctx.context.organization_id
        app.running[whose] = app.running.get(whose, 0) + 1
        app.most[whose] = max(app.most.get(whose, 0), app.running[whose])
        await asyncio.sleep(0)
        app.running[whose] -= 1
        app.order.append(whose)


class Report(Job, queue="reports", cost=3):
    async def run(self, app: Stage, ctx: JobContext) -> None:
        app.order.append(ctx.context.organization_id)
        await app.gate.wait()


async def test_two_workers_never_run_more_of_a_key_than_its_limit(hall: Hall) -> None:
    stage = Stage()
    queue = hall.serve(Mail, handle=stage, concurrency=10)
    for organization in ("acme", "other"):
        queue.enqueue_many(hall.conn, [Mail()] * 20, context=Context(organization, "ann"))
    first, second = hall.worker(until_empty=True), hall.worker(until_empty=True)
    async with asyncio.timeout(30):
        assert list(await asyncio.gather(first.run(), second.run())) == [0, 0]
    assert len(stage.order) == 40
    assert max(stage.most.values()) <= 2
    assert scalar(hall.conn, "SELECT count(*) FROM pgqueue.jobs") == 0


async def test_the_settings_make_a_queue_fair(hall: Hall) -> None:
    stage = Stage()
    queues = {"default": QueueSettings(), "reports": QueueSettings(order="fair", workers=1)}
    queue = hall.serve(Report, handle=stage, queues=queues)
    queue.enqueue_many(hall.conn, [Report()] * 50, context=Context("heavy", "ann"))
    worker = hall.worker()
    running = asyncio.create_task(worker.run())
    await until(lambda: stage.order[:1] == ["heavy"])
    queue.enqueue(hall.conn, Report(), context=Context("light", "ann"))
    await until(lambda: scalar(hall.conn, "SELECT count(*) FROM pgqueue.jobs") == 51)
    stage.gate.set()
    await until(lambda: "light" in stage.order)
    assert stage.order.index("light") <= 6  # what the worker had claimed ahead
    assert scalar(hall.conn, "SELECT DISTINCT cost FROM pgqueue.jobs") == 3
    worker.stop()
    await running
