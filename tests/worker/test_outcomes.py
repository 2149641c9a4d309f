"""What becomes of a job is what it said, asynchronous or in a thread."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pybreaker
import pytest

from pgqueue import (
    Cancel,
    Context,
    Continue,
    Dead,
    Discard,
    Done,
    Job,
    JobContext,
    Outcome,
    Queue,
    Retry,
    RetryIn,
    Snooze,
    current_context,
)  # fmt: skip

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio


class Say(Job, retry=Retry(2, ["60s"])):
    """Returns or raises what the handle holds."""

    async def run(self, app: Any, ctx: JobContext) -> Any:
        return _said(app)


class SayInThread(Job, retry=Retry(2, ["60s"])):
    def run(self, app: Any, ctx: JobContext) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return _said(app)


class Follow(Job):
    async def run(self, app: Any, ctx: JobContext) -> None:
        """Nothing."""


def _said(app: Any) -> Any:
    if isinstance(app, BaseException):
        raise app
    return app


BOTH = pytest.mark.parametrize("kind", [Say, SayInThread])


@BOTH
@pytest.mark.parametrize(
    ("result", "state"),
    [
        (None, "completed"),
        (Done(), "completed"),
        ({"some": "dict"}, "waiting"),
        (Discard("not wanted"), "discarded"),
        (Cancel("the user said so"), "cancelled"),
        (Dead("no use"), "dead"),
        (Snooze("60s"), "waiting"),
        (RetryIn("60s", "slow"), "waiting"),
        (ValueError("boom"), "waiting"),
        (Snooze("soon"), "waiting"),
        (Discard(17), "waiting"),  # type: ignore[arg-type]  # what somebody might return
        (StopIteration("odd"), "waiting"),
        (StopAsyncIteration("odd"), "waiting"),
        (SystemExit(3), "waiting"),
        (KeyboardInterrupt(), "waiting"),
        (GeneratorExit(), "waiting"),
        (asyncio.CancelledError(), "waiting"),
        (type("Own", (BaseException,), {})("odd"), "waiting"),
        (ValueError("a\x00b\ud800"), "waiting"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "waiting"),
    ],
    ids=repr,
)
async def test_a_job_ends_as_it_said(hall: Hall, kind: type[Job], result: object, state: str) -> None:
    hall.serve(kind, handle=result)
    job_id = await hall.run_one(kind())
    assert hall.state(job_id) == state
    assert len(hall.ledger.moments) == len(hall.ledger.started_jobs) == 1
    assert hall.ledger.lost == []


async def test_a_retry_waits_as_the_policy_says_and_spends_attempts(hall: Hall) -> None:
    hall.serve(Say, handle=ValueError("boom"))
    job_id = await hall.run_one(Say())
    assert 58 < hall.wait_of(job_id) <= 60
    assert hall.job(job_id, "attempt") == 1
    hall.advance(timedelta(seconds=61))
    await hall.work_off()
    assert hall.state(job_id) == "dead"
    assert (hall.dead(job_id, "reason"), hall.dead(job_id, "attempt")) == ("attempts", 2)
    assert hall.dead(job_id, "error") == "boom"
    assert [error["type"] for error in hall.dead(job_id, "errors")] == ["ValueError", "ValueError"]


async def test_time_scale_shortens_the_wait(hall: Hall) -> None:
    hall.serve(Say, handle=ValueError("boom"), time_scale=60)
    job_id = hall.enqueue(Say())
    async with hall.working():
        from tests.worker.harness import until

        await until(lambda: hall.state(job_id) == "dead")
    assert [moment for _, moment in hall.ledger.moments] == ["retry", "bury"]


async def test_a_snooze_spends_no_attempt_and_is_bounded_by_max_age(hall: Hall) -> None:
    hall.serve(Say, handle=Snooze("2d"))
    job_id = await hall.run_one(Say())
    assert hall.job(job_id, "attempt") == 0
    for day in (2, 4, 6):
        assert hall.state(job_id) == "waiting"
        hall.advance(timedelta(days=day, seconds=30))
        await hall.work_off()
    assert hall.state(job_id) == "dead"
    assert hall.dead(job_id, "reason") == "expired"


async def test_an_open_circuit_of_another_library_is_nobodys_fault(hall: Hall) -> None:
    hall.serve(Say, handle=pybreaker.CircuitBreakerError("open"))
    job_id = await hall.run_one(Say())
    assert (hall.state(job_id), hall.job(job_id, "attempt")) == ("waiting", 0)
    assert 10 < hall.wait_of(job_id) <= 16.5


async def test_what_follows_is_enqueued_with_the_completion(hall: Hall) -> None:
    hall.serve(Say, Follow, handle=Continue(Follow()))
    context = Context("acme", "ann")
    job_id = await hall.run_one(Say(), context=context)
    assert hall.state(job_id) == "completed"
    rows = hall.conn.execute(
        "SELECT kind, state, organization_id, correlation_id FROM pgqueue.all_jobs ORDER BY id"
    ).fetchall()
    assert rows == [
        ("Say", "completed", "acme", context.correlation_id),
        ("Follow", "completed", "acme", context.correlation_id),
    ]


async def test_a_follower_that_cannot_be_enqueued_is_a_failed_attempt(hall: Hall) -> None:
    class Nowhere(Job, queue="nowhere"):
        async def run(self, app: object, ctx: JobContext) -> None:
            """Nothing."""

    hall.serve(Say, handle=Continue(Nowhere()))
    job_id = await hall.run_one(Say())
    assert hall.state(job_id) == "waiting"
    assert "nowhere" in hall.job(job_id, "errors")[0]["error"]


class Family(Job):
    async def run(self, app: Queue, ctx: JobContext) -> None:
        assert current_context() == ctx.context
        async with ctx.transaction() as session:
            from pgqueue import AsyncQueue

            await AsyncQueue(app.settings, wake="off").enqueue(session, Follow())


class FamilyInThread(Job):
    def run(self, app: Queue, ctx: JobContext) -> None:
        assert current_context() == ctx.context
        with ctx.transaction() as session:
            app.enqueue(session, Follow())


@pytest.mark.parametrize("kind", [Family, FamilyInThread])
async def test_children_inherit_the_context_but_not_the_trace(hall: Hall, kind: type[Job]) -> None:
    queue = hall.serve(kind, Follow)
    hall.app.handle = queue
    await hall.run_one(kind())
    assert hall.states() == ["completed"] * 2
    row = hall.conn.execute(
        """SELECT count(DISTINCT (organization_id, user_id, correlation_id)), count(DISTINCT trace_id)
           FROM pgqueue.all_jobs"""
    ).fetchone()
    assert row == (1, 2)
    assert current_context() is None


class Introduce(Job, queue="default", retry=Retry(5, ["1s"])):
    async def run(self, app: list[dict[str, Any]], ctx: JobContext) -> Outcome | None:
        app.append(
            {
                "id": ctx.job_id,
                "key": ctx.idempotency_key,
                "fence": ctx.fence,
                "attempt": (ctx.attempt, ctx.max_attempts),
                "who": (ctx.organization_id, ctx.user_id),
                "what": (ctx.kind, ctx.queue),
                "left": ctx.seconds_left,
            }
        )
        ctx.log.info("hello")
        return RetryIn("1s") if len(app) == 1 else None


async def test_a_job_knows_itself(hall: Hall) -> None:
    seen: list[dict[str, Any]] = []
    hall.serve(Introduce, handle=seen)
    job_id = await hall.run_one(Introduce())
    hall.advance(timedelta(seconds=5))
    await hall.work_off()
    first, second = seen
    assert first["id"] == second["id"] == job_id
    assert first["key"] == second["key"]
    assert first["fence"] < second["fence"]
    assert (first["attempt"], second["attempt"]) == ((1, 5), (2, 5))
    assert first["who"] == ("acme", "ann")
    assert first["what"] == ("Introduce", "default")
    assert 80 < first["left"] <= 90


async def test_the_handle_is_opened_when_the_worker_starts_and_closed_when_it_ends(hall: Hall) -> None:
    from contextlib import asynccontextmanager, contextmanager

    events: list[str] = []

    @asynccontextmanager
    async def asynchronous() -> Any:
        events.append("open")
        yield Discard("by the handle")
        events.append("closed")

    @contextmanager
    def synchronous() -> Any:
        events.append("open")
        yield Discard("by the handle")
        events.append("closed")

    async def made() -> Any:
        events.extend(["open", "closed"])
        return Discard("by the handle")

    for handle in (asynchronous, synchronous, made):
        events.clear()
        hall.serve(Say, handle=handle)
        assert events == []
        assert hall.state(await hall.run_one(Say())) == "discarded"
        assert events == ["open", "closed"]


async def test_a_completed_job_that_is_not_kept_leaves_nothing(hall: Hall) -> None:
    class Brief(Job, retain="0s"):
        async def run(self, app: object, ctx: JobContext) -> None:
            """Nothing."""

    hall.serve(Brief)
    await hall.run_one(Brief())
    assert hall.states() == []


async def test_what_waits_for_later_does_not_keep_a_worker(hall: Hall) -> None:
    hall.serve(Say, handle=None)
    later = await hall.run_one(Say(), delay="1h")
    assert hall.state(later) in {"waiting", "enqueued"}


async def test_a_worker_without_jobs_ends_at_once(hall: Hall) -> None:
    hall.serve(Say)
    assert await hall.work_off() == 0
