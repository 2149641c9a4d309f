"""Steps of the tests about numbers and comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.system import SYSTEM

if TYPE_CHECKING:
    from datetime import date

    from pgqueue import Job
    from tests.domain.world import World


async def three_in_the_morning(world: World) -> date:
    """Let it be that where the tenant is, and nine where the other one is; return the tenant's date."""
    [row] = await world.rows(
        "SELECT name, (now() AT TIME ZONE name)::date AS day FROM pg_timezone_names"
        " WHERE extract(hour FROM now() AT TIME ZONE name) = 3 AND name LIKE 'Etc/GMT%' LIMIT 1"
    )
    await world.execute(
        "UPDATE smm.organizations SET timezone = CASE WHEN id = :id THEN :zone ELSE"
        " (SELECT name FROM pg_timezone_names WHERE extract(hour FROM now() AT TIME ZONE name) = 9"
        "  AND name LIKE 'Etc/GMT%' LIMIT 1) END",
        id=world.tenant.organization_id,
        zone=row.name,
    )
    day: date = row.day
    return day


async def dispatch(world: World, job: Job, *, system: bool = False) -> None:
    async with world.engine.begin() as conn:
        await world.queue.enqueue(conn, job, context=SYSTEM if system else world.tenant.context)
    await world.work()
