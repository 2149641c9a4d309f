"""Which process serves what, and how much of each queue's ``workers`` it may use: no clock, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAIN = 1.2  # processes that a move must bring nearer to what the loads ask for; 1 would let it swing back at once


class Pool(NamedTuple):
    """The processes of one group of queues. ``most``: more of them could not have anything to do."""

    processes: int
    load: float
    most: int


def evenly(processes: int, pools: int) -> list[int]:
    """Divide processes over pools; what is over goes to the first ones."""
    return [processes // pools + (index < processes % pools) for index in range(pools)]


def rebalanced(pools: Sequence[Pool], *, least: int, most: int) -> list[int]:
    """Return how many processes each pool should have after the next move: at most one differs from now, or two by one.

    Every pool keeps ``least``, all together have at most ``most``. Loads that stay the same lead to a state that stays.
    """
    counts = [pool.processes for pool in pools]
    wanted = quotas(pools, least=least, most=most)
    short = [want - have for want, have in zip(wanted, counts, strict=True)]
    up = max(range(len(pools)), key=short.__getitem__)
    down = min(range(len(pools)), key=short.__getitem__)
    must = counts[up] < least
    # Without the second half two pools that ask for one and a half processes each would leave the third one unused.
    grows = must or short[up] > _GAIN / 2 or (short[up] > 0 and sum(counts) + 1 <= sum(wanted))
    may_give = counts[down] > least
    if sum(counts) > most:
        counts[down] -= 1
    elif grows and sum(counts) < most:
        counts[up] += 1
    elif may_give and up != down and (must or short[up] - short[down] > _GAIN):
        counts[down] -= 1
        counts[up] += 1
    elif may_give and not grows and short[down] < -_GAIN / 2 and sum(counts) > sum(wanted):
        counts[down] -= 1
    return counts


def quotas(pools: Sequence[Pool], *, least: int, most: int) -> list[float]:
    """Return each pool's part of the processes by its load; a pool that cannot use its part leaves it to the others."""
    found = [float(least)] * len(pools)
    spare = float(most - least * len(pools))
    open_to = {index for index, pool in enumerate(pools) if pool.load > 0 and pool.most > least}
    while open_to and spare > 0:
        total = sum(pools[index].load for index in open_to)
        parts = {index: spare * pools[index].load / total for index in open_to}
        full = {index for index in open_to if found[index] + parts[index] >= pools[index].most}
        for index in full or open_to:
            part = pools[index].most - found[index] if full else parts[index]
            found[index] += part
            spare -= part
        open_to = open_to - full if full else set()
    return found


def shares(workers: int, processes: int, turn: int) -> list[int]:
    """Divide a queue's ``workers`` over the processes that serve it; ``turn`` says who gets what is over."""
    return [workers // processes + ((index - turn) % processes < workers % processes) for index in range(processes)]


class Held(NamedTuple):
    """One process and one queue: its share as it should be, as it was told, and what it may still be using."""

    target: int
    granted: int
    used: int


def grants(workers: int, holders: Sequence[Held]) -> list[int]:
    """Return the shares to tell now, so that all processes together never run more than ``workers`` jobs.

    A smaller share is told at once; a larger one only as far as the others have let go.
    """
    free = workers - sum(max(held.granted, held.used) for held in holders)
    found = []
    for held in holders:
        counted = max(held.granted, held.used)
        step = min(held.target, counted + max(free, 0))
        free -= max(step - counted, 0)
        found.append(step)
    return found
