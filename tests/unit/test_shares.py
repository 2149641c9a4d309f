"""Shares of a queue travel between processes that answer late: the limit of the host holds in every interleaving."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pgqueue.worker.balance import Held, grants, shares
from pgqueue.worker.ledger import Ledger

if TYPE_CHECKING:
    from random import Random


@dataclass(eq=False)
class Remote:
    """A process: messages to it and from it are under way for as long as the test wants."""

    ledger: Ledger = field(default_factory=lambda: Ledger(["q"]))
    to: deque[tuple[int, int]] = field(default_factory=deque)
    back: deque[tuple[int, int]] = field(default_factory=deque)
    limit: int = 0
    serial: int = 0
    running: int = 0
    said: int = 0
    serves: bool = True

    def does(self, what: str) -> None:
        if what == "apply" and self.to:
            self.serial, self.limit = self.to.popleft()
        elif what == "report":
            self.back.append((self.serial, self.running))
        elif what == "hear" and self.back:
            serial, self.said = self.back.popleft()
            self.ledger.heard(serial)
        elif what == "start" and self.running < self.limit:
            self.running += 1
        elif what == "end" and self.running:
            self.running -= 1


def tell(workers: int, remotes: list[Remote]) -> None:
    """What the supervisor does at each look."""
    serving = [remote for remote in remotes if remote.serves]
    parts = dict(zip(serving, shares(workers, len(serving), 0), strict=True)) if serving else {}
    held = [Held(parts.get(one, 0), one.ledger.held("q"), one.ledger.used("q", one.said)) for one in remotes]
    for one, limit in zip(remotes, grants(workers, held), strict=True):
        if one.ledger.grant({"q": limit}):
            one.to.append((one.ledger.serial, limit))


MOVES = ["apply", "report", "hear", "start", "start", "end", "move", "tell"]


@settings(max_examples=200)
@given(st.integers(1, 6), st.integers(2, 4), st.randoms(use_true_random=False))
def test_a_host_never_runs_more_than_its_workers(workers: int, count: int, chance: Random) -> None:
    remotes = [Remote() for _ in range(count)]
    for _ in range(300):
        what, which = chance.choice(MOVES), chance.randrange(count)
        remote = remotes[which]
        if what == "move":
            remote.serves = not remote.serves
        elif what == "tell":
            tell(workers, remotes)
        else:
            remote.does(what)
        assert sum(one.running for one in remotes) <= workers


@given(st.integers(1, 9), st.integers(1, 4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_when_all_have_answered_the_whole_limit_is_given_out(workers: int, count: int, serves: list[bool]) -> None:
    remotes = [Remote(serves=True) for _ in range(count)]
    for wanted in (True, *serves[:count], True):
        remotes[0].serves = wanted
        for _ in range(3):
            tell(workers, remotes)
            for remote in remotes:
                for what in ("apply", "apply", "report", "hear"):
                    remote.does(what)
    assert sum(remote.limit for remote in remotes) == workers


def test_a_share_that_is_still_under_way_counts() -> None:
    first, second = Remote(), Remote(serves=False)
    tell(3, [first, second])
    first.serves, second.serves = False, True
    tell(3, [first, second])
    assert second.to[-1] == (1, 0)  # the first may be about to start three jobs
    for what in ("apply", "start", "apply", "report", "hear"):
        first.does(what)
    tell(3, [first, second])
    assert second.to[-1] == (2, 2)  # it answered that one of its jobs still runs
