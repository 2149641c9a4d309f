"""Jobs that run a second time: everything that was done once must be as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.domain.world import World

_REPEAT = """SELECT pgqueue.enqueue(
      kind, args, organization_id, user_id, correlation_id => correlation_id, queue => queue)
    FROM pgqueue.finished_jobs WHERE kind = :kind ORDER BY id"""

BURY = """WITH gone AS (DELETE FROM pgqueue.finished_jobs WHERE kind = :kind RETURNING *)
    INSERT INTO pgqueue.dead_jobs (id, reason, error, queue, kind, payload_version, organization_id, user_id,
      correlation_id, trace_id, args, attempt, crashes, claims, enqueued_at)
    SELECT id, 'dead', 'buried by a test', queue, kind, payload_version, organization_id, user_id,
      correlation_id, trace_id, args, attempt, crashes, claims, enqueued_at FROM gone"""


_NOW = "UPDATE pgqueue.jobs SET run_at = pgqueue.clock() WHERE kind = :kind AND run_at IS NOT NULL"


async def run_again(world: World, kind: str) -> None:
    """Enqueue the finished jobs of a kind a second time, twice each, and let them run."""
    for _ in range(2):
        await world.execute(_REPEAT, kind=kind)
    for _ in range(5):
        await world.work()
        if "waiting" not in {state for state, _ in await world.jobs(kind)}:
            break
        # of several at once all but one may have found another at work
        await world.execute(_NOW, kind=kind)
    assert {state for state, _ in await world.jobs(kind)} <= {"completed", "discarded", "merged"}


async def again_from_the_dead(world: World, kind: str) -> None:
    """Requeue the dead jobs of a kind, to which its finished ones are moved first, and let them run."""
    await world.execute(BURY, kind=kind)
    dead = [row.id for row in await world.rows("SELECT id FROM pgqueue.dead_jobs WHERE kind = :kind", kind=kind)]
    assert dead
    async with world.app.units.sessions.begin() as session:
        assert sorted(await world.queue.requeue(session, dead, by="a test")) == sorted(dead)
    await world.work()
    assert "dead" not in {state for state, _ in await world.jobs(kind)}
