"""A kind of job in two forms: with an id it works on one thing, without one it is the sweep that finds the things.

So every schedule enqueues a kind of the job architecture document, and there are no kinds beside those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pgqueue import JobContext, Outcome

Item = TypeVar("Item")
More = TypeVarTuple("More")


@dataclass(frozen=True, slots=True)
class OneOrSweep(Generic[Item, *More]):
    """The one place that tells the forms apart; each use case behind it knows its own only."""

    one: Callable[[JobContext, Item, *More], Awaitable[Outcome | None]]
    sweep: Callable[..., Awaitable[Outcome | None]]
    """Takes the context, and what narrows the sweep down."""

    async def __call__(self, ctx: JobContext, item: Item | None, *more: *More, **narrowed: object) -> Outcome | None:
        """Work on ``item``, of which ``more`` says what is to be done; None: sweep."""
        if item is None:
            return await self.sweep(ctx, **narrowed)
        return await self.one(ctx, item, *more)
