"""Steps of the tests about numbers and comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.system import SYSTEM

if TYPE_CHECKING:
    from pgqueue import Job
    from tests.domain.world import World


async def dispatch(world: World, job: Job, *, system: bool = False) -> None:
    async with world.engine.begin() as conn:
        await world.queue.enqueue(conn, job, context=SYSTEM if system else world.tenant.context)
    await world.work()
