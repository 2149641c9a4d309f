"""Faults that a test wants: on the real path, in `drain` and in a real worker of this process alike."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.job import Job


class Injected(Exception):
    """The failure that `fail` injects; ``drain`` never raises it."""


@contextmanager
def fail(kind: type[Job], times: int = 1, error: BaseException | None = None) -> Iterator[None]:
    """Let the next ``times`` runs of this kind raise, before they do anything.

    Args:
        kind: the class, as the App lists it.
        times: how many runs fail.
        error: what they raise; default: `Injected`.

    """
    original: Any = kind.run  # type: ignore[attr-defined]  # each class has its own
    left = times

    def strike() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            raise error or Injected(f"injected: {left} more of {times}")

    async def run(self: Job, app: object, ctx: object) -> object:
        strike()
        return await original(self, app, ctx)

    def run_in_thread(self: Job, app: object, ctx: object) -> object:
        strike()
        return original(self, app, ctx)

    own = "run" in vars(kind)
    kind.run = run if inspect.iscoroutinefunction(original) else run_in_thread  # type: ignore[attr-defined]  # each class has its own
    try:
        yield
    finally:
        if own:
            kind.run = original  # type: ignore[attr-defined]  # each class has its own
        else:
            del kind.run  # type: ignore[attr-defined]  # inherited again
