"""What a scene plays on, and all that is to be seen of it: every row, every object, every call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domain.models import Base
from domain.system import SYSTEM

if TYPE_CHECKING:
    from pathlib import Path

    from domain.standins.networks import NetworkStandIn
    from pgqueue import Job
    from tests.domain.world import World


@dataclass
class Stage:
    """The world, and the stand-ins that a scene brings along."""

    world: World
    objects: Path
    doors: AsyncExitStack = field(default_factory=AsyncExitStack)
    networks: list[NetworkStandIn] = field(default_factory=list)

    async def tick(self, sweep: Job) -> None:
        """Do what a schedule does, and work."""
        await self.world.run(sweep, SYSTEM)

    async def look(self) -> dict[str, Any]:
        """Return everything: no column is left out, not even times, as a second run has nothing to write.

        Only the list of Stripe's events is asked for again by a second sweep: to look there is all that it is for.
        """
        world = self.world
        seen: dict[str, Any] = {
            f"rows of {table.name}": sorted(map(repr, await world.rows(f"SELECT * FROM {table.schema}.{table.name}")))
            for table in Base.metadata.sorted_tables
        }
        for stand_in in (world.network, world.mail, world.clamd, world.stripe, world.receiver, *self.networks):
            seen[type(stand_in).__name__] = _without_looks(stand_in.state())
        objects = (path for path in self.objects.rglob("*") if path.is_file())
        seen["objects"] = {str(path.relative_to(self.objects)): path.read_bytes() for path in objects}
        return seen | _without_looks({"calls": list(world.asked)})


def _without_looks(state: dict[str, Any]) -> dict[str, Any]:
    calls = state.get("calls")
    return state | {"calls": [call for call in calls if "/v1/events" not in call]} if isinstance(calls, list) else state


Scene = Callable[[Stage], Awaitable[None]]
