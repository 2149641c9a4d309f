"""What a scene is. `play` acts and returns nothing; `check` is given the facts alone, and none of what was played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.demo.checks import Check

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from domain.demo.facts import Facts
    from domain.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene."""

    number: int
    title: str
    play: Callable[[Stage], Awaitable[None]]
    check: Callable[[Facts], list[Check]]

    def verdict(self, facts: Facts) -> list[Check]:
        """Check; facts that are not there at all are a broken promise, too."""
        try:
            return self.check(facts)
        except (LookupError, ValueError, OSError) as error:
            return [Check("the traces of this scene are there", ok=False, detail=repr(error))]
