"""The steps of a carrier, one by one, so that a test can stop between any two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue.db import run
from pgqueue.queries.carry import Carry, Offer
from tests.carry.conftest import SOURCE

if TYPE_CHECKING:
    from tests.sql.client import Connection


@dataclass
class Steps:
    """One carrier on two connections."""

    source: Connection
    queue: Connection
    term: timedelta = timedelta(milliseconds=1)
    batch: int = 1000
    token: int | None = None
    state: dict[str, Any] | None = None
    done: list[int] = field(default_factory=list)
    queries: Carry = field(default_factory=Carry)

    def take_over(self) -> bool:
        """As the carrier begins, or begins again after an error."""
        self.token, self.state, self.done = None, None, []
        if self.carry("[]")["turn"] is None:
            return False
        left = run(self.queue, self.queries.ledger(SOURCE))
        open_still = run(self.source, self.queries.still_offered(left))
        self.done = sorted(set(left).difference(open_still))
        return True

    def offer(self) -> Offer:
        """What the source has; the state is kept by `round` alone."""
        return run(self.source, self.queries.offer(self.state, batch=self.batch))

    def carry(self, rows: str) -> dict[str, Any]:
        """Into the queue."""
        answer = run(
            self.queue,
            self.queries.carry(SOURCE, token=self.token, term=self.term, offered=rows, done=self.done),
        )
        self.token = answer["turn"]
        return answer

    def taken(self, ids: list[int]) -> None:
        """Out of the source."""
        self.done = ids
        run(self.source, self.queries.taken(self.done))

    def round(self) -> int:
        """All steps; returns how many jobs were carried (-1: not our turn)."""
        offered = self.offer()
        answer = self.carry(offered.rows)
        if answer["turn"] is None or answer.get("busy"):
            return -1
        self.taken([job_id for job_id in offered.ids if job_id not in answer["left"]])
        if not answer["left"]:
            self.state = offered.state
        return int(answer["carried"])
