"""Orders to a worker in this process: it learns them although no notification reaches it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pgqueue import Job, JobContext
from pgqueue.db import run
from pgqueue.queries.control import Control
from pgqueue.queries.supervision import Supervision
from tests.worker.harness import until

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio

ROW = "SELECT id, host, pid, version, queues, kinds, concurrency FROM pgqueue.workers"


class Note(Job, retain="1h"):
    async def run(self, app: object, ctx: JobContext) -> None:
        """Nothing."""


async def test_an_override_without_a_wake_up_is_learned_with_the_next_heartbeat(hall: Hall) -> None:
    hall.serve(Note, heartbeat="100ms")
    async with hall.working() as worker:
        run(hall.conn, Supervision().set_workers("default", 2, by="ann"))
        await until(lambda: worker.slots.lanes["default"].limit == 2)
        run(hall.conn, Supervision().set_workers("default", None, by="ann"))
        await until(lambda: worker.slots.lanes["default"].limit == worker.slots.size)


async def test_a_process_that_was_taken_for_dead_is_listed_again_and_heard(
    hall: Hall, capsys: pytest.CaptureFixture[str]
) -> None:
    hall.serve(Note, heartbeat="100ms")
    async with hall.working() as worker:
        before = hall.conn.execute(ROW).fetchall()
        hall.conn.execute("DELETE FROM pgqueue.workers")  # as upkeep does when nothing was heard for two minutes
        await until(lambda: hall.conn.execute(ROW).fetchall())
        assert hall.conn.execute(ROW).fetchall() == before
        run(hall.conn, Supervision().ask_workers("drain", by="ann", silent=timedelta(minutes=1)))
        await until(lambda: worker.steering.draining)
    assert hall.conn.execute(ROW).fetchall() == []
    assert "worker.registered_again" in capsys.readouterr().out


async def test_a_limit_above_the_slots_of_a_process_is_cut_there(hall: Hall) -> None:
    hall.serve(Note, heartbeat="100ms", concurrency=3, queues={"default": {"workers": 1}})
    async with hall.working() as worker:
        run(hall.conn, Supervision().set_workers("default", 500, by="ann"))
        await until(lambda: worker.slots.lanes["default"].limit == 3)


async def test_a_queue_opens_by_itself_after_its_pause(hall: Hall) -> None:
    hall.serve(Note, lease="3s", heartbeat="500ms")
    async with hall.working():
        run(hall.conn, Control().pause("default", by="ann", duration=timedelta(minutes=10)))
        job = hall.enqueue(Note())
        await until(lambda: hall.state(job) == "ready")
        hall.advance(timedelta(minutes=11))
        await until(lambda: hall.state(job) == "completed")
