"""How long what became of a job is kept: as its class says, else as its queue says, else for the default time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue import Cancel, Dead, Discard, Job, JobContext, Outcome, QueueSettings, Retry
from pgqueue.queries.upkeep import Upkeep
from pgqueue.worker.upkeep import Keeper
from tests.sql.client import scalar

if TYPE_CHECKING:
    from tests.worker.harness import Hall

pytestmark = pytest.mark.anyio

ENDINGS: dict[str, Outcome | None] = {"completed": None, "cancelled": Cancel("x"), "discarded": Discard("x")}


class Silent(Job):
    """Says nothing of retention; ends as the handle says."""

    async def run(self, app: Any, ctx: JobContext) -> Outcome | None:
        return app  # type: ignore[no-any-return]  # the handle is the outcome


class Outspoken(Silent, retain="5m", retain_cancelled="6m", retain_discarded="7m"):
    """Says it itself."""


def kept_minutes(hall: Hall, job: int) -> float:
    kept = "SELECT extract(epoch FROM keep_until - finished_at) / 60 FROM pgqueue.finished_jobs WHERE id = %s"
    return float(scalar(hall.conn, kept, job))


@pytest.mark.parametrize(
    ("kind", "queue", "minutes"),
    [
        (Silent, QueueSettings(), {"completed": 60, "cancelled": 10_080, "discarded": 10_080}),
        (
            Silent,
            QueueSettings(retain="2m", retain_cancelled="3m", retain_discarded="4m"),
            {"completed": 2, "cancelled": 3, "discarded": 4},
        ),
        (
            Outspoken,
            QueueSettings(retain="2m", retain_cancelled="3m", retain_discarded="4m"),
            {"completed": 5, "cancelled": 6, "discarded": 7},
        ),
    ],
    ids=["defaults", "queue", "class"],
)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_each_ending_is_kept_as_class_or_queue_or_default_say(
    hall: Hall, kind: type[Job], queue: QueueSettings, minutes: dict[str, float], ending: str
) -> None:
    hall.serve(kind, handle=ENDINGS[ending], queues={"default": queue})
    job = await hall.run_one(kind())
    assert hall.state(job) == ending
    assert kept_minutes(hall, job) == minutes[ending]


async def test_what_completes_in_its_own_transaction_is_kept_the_same(hall: Hall) -> None:
    class Own(Job):
        async def run(self, app: object, ctx: JobContext) -> None:
            async with ctx.transaction():
                pass

    hall.serve(Own, queues={"default": QueueSettings(retain="2m")})
    assert kept_minutes(hall, await hall.run_one(Own())) == 2


async def test_a_queue_that_keeps_nothing_leaves_no_row(hall: Hall) -> None:
    hall.serve(Silent, queues={"default": QueueSettings(retain="0s")})
    await hall.run_one(Silent())
    assert hall.states() == []


class Doomed(Job, retry=Retry(1), retain_dead="1h"):
    async def run(self, app: object, ctx: JobContext) -> Outcome:
        return Dead("x")


class DoomedForLonger(Doomed, retain_dead="2h"):
    """Its dead letters are kept longer."""


async def test_dead_letters_go_when_their_time_is_over_and_others_stay(hall: Hall) -> None:
    class Kept(Job, retry=Retry(1)):
        async def run(self, app: object, ctx: JobContext) -> Outcome:
            return Dead("x")

    class OfQueue(Kept, queue="other"):
        """Its queue says it."""

    queues = {"default": QueueSettings(), "other": QueueSettings(retain_dead="3h")}
    hall.serve(Doomed, DoomedForLonger, Kept, OfQueue, queues=queues)
    for kind in (Doomed, DoomedForLonger, Kept, OfQueue):
        await hall.run_one(kind())

    async def left_after(hours: float) -> list[str]:
        hall.advance(timedelta(hours=hours))
        worker = hall.worker()
        await worker.links[2].open()
        keeper = Keeper(worker.links[2], Upkeep(), worker.settings, worker.telemetry, hall.app.dead_kept())
        await keeper._prune()
        await worker._close()
        return [row[0] for row in hall.conn.execute("SELECT kind FROM pgqueue.dead_jobs ORDER BY id")]

    assert await left_after(0.9) == ["Doomed", "DoomedForLonger", "Kept", "OfQueue"]
    assert await left_after(1.1) == ["DoomedForLonger", "Kept", "OfQueue"]
    assert await left_after(2.1) == ["Kept", "OfQueue"]
    assert await left_after(9_000) == ["Kept"]


async def test_without_a_bound_no_statement_is_sent(hall: Hall) -> None:
    hall.serve(Silent)
    assert hall.app.dead_kept() == {}
