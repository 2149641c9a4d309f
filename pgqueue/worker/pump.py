"""Claims jobs and settles outcomes, both in one message: the only traffic of a busy worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from pgqueue.db import is_connection_lost
from pgqueue.outcome import give_back
from pgqueue.worker.link import PATIENCE, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from pgqueue.db import Query
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.queries.lifecycle import Lifecycle
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.slots import Slots

_MOST = 1_000  # outcomes in one statement
_GATHER, _GATHERINGS = 0.002, 8  # an outcome waits so long, so often, for others and for room, while jobs are running
_UNSTORABLE = '{"reason": "dead", "type": "Unstorable", "error": "the error text could not be stored"}'


class Pump:
    """One tick: send the outcomes there are, take as many jobs as have room."""

    def __init__(  # noqa: PLR0917 - its collaborators, in the order of a message
        self, worker: UUID, link: Link, lifecycle: Lifecycle, slots: Slots, settings: Settings, telemetry: Telemetry
    ) -> None:
        """Nothing is held yet."""
        self.held: dict[int, Claimed] = {}
        """Every job this process has a lease on: what the heartbeat renews."""
        self.on_again: Callable[[int], None] = _nobody
        """Hears of a job that was claimed while an earlier claim of it is still held here."""
        self.claiming = True
        self.settled = 0
        self._worker = worker
        self._link = link
        self._lifecycle = lifecycle
        self._slots = slots
        self._settings = settings
        self._telemetry = telemetry
        self._outcomes: list[Settlement] = []

    def add(self, settlement: Settlement) -> None:
        """Take an outcome to be settled with the next message."""
        self._outcomes.append(settlement)

    def give_back_held(self) -> None:
        """Return every job that has no outcome yet."""
        ended = {settlement.id for settlement in self._outcomes}
        self._outcomes += [give_back(job) for job in self.held.values() if job.id not in ended]

    def last_word(self) -> list[Settlement]:
        """Return the outcomes there are, and for all other jobs that they are given back: the process goes."""
        self.give_back_held()
        return self._outcomes

    @property
    def pending(self) -> int:
        """How many outcomes are not settled yet."""
        return len(self._outcomes)

    async def tick(self) -> float:
        """Send one message; returns how long to sleep (woken by outcomes and by wake-ups)."""
        room = self._slots.room() if self.claiming else {}
        for _ in range(_GATHERINGS):
            if room or not self._outcomes or not self._slots.busy or len(self._outcomes) >= _MOST:
                break
            await asyncio.sleep(_GATHER)
            room = self._slots.room() if self.claiming else {}
        batch, self._outcomes = self._outcomes[:_MOST], self._outcomes[_MOST:]
        if not batch and not room:
            return self._settings.poll.total_seconds()
        try:
            async with asyncio.timeout(PATIENCE):
                claimed, unsettled = await self._exchange(batch, room)
        except BaseException as error:
            self._outcomes[:0] = batch  # whatever happened, these are not settled
            if is_connection_lost(error) or not isinstance(error, psycopg.DataError):
                raise
            await self._settle_singly()
            return 0
        self._forget(batch, unsettled)
        for job in claimed:
            if job.id in self.held:
                self.on_again(job.id)  # its lease was lost and it came back: the run before must not go on beside it
            self.held[job.id] = job
        if room:
            self._slots.put(claimed, room)
        return 0 if self._outcomes or claimed else 0.001

    def release(self, job_id: int, claims: int) -> Claimed | None:
        """Stop renewing the lease of this claim (a newer claim of the same job goes on)."""
        held = self.held.get(job_id)
        return self.held.pop(job_id) if held is not None and held.claims == claims else None

    def _forget(self, batch: list[Settlement], unsettled: dict[int, bool]) -> None:
        """Let go what was settled or lost; what somebody has locked is sent again."""
        for settlement in batch:
            if unsettled.get(settlement.id):
                self._outcomes.append(settlement)
                continue
            job = self.release(settlement.id, settlement.claims)
            if job is not None and settlement.id in unsettled:
                self._telemetry.lease_lost(job)
            self.settled += 1

    async def _exchange(
        self, batch: list[Settlement], room: Mapping[str, int]
    ) -> tuple[list[Claimed], dict[int, bool]]:
        conn = await self._link.open()
        settle = self._lifecycle.settle_batch(batch) if batch else None
        claim = self._lifecycle.claim(self._worker, room, self._settings.lease) if room else None
        if settle is None or claim is None:
            lost = await _send(conn, settle) if settle else []
            return (await _send(conn, claim) if claim else []), dict(lost)
        async with conn.pipeline():  # one message, one transaction, one commit
            first, second = (
                conn.cursor(row_factory=tuple_row, binary=True),
                conn.cursor(row_factory=tuple_row, binary=True),
            )
            await first.execute(settle.sql, settle.params)
            await second.execute(claim.sql, claim.params)
            lost_rows = await first.fetchall()
            rows = await second.fetchall()
        return claim.read(rows), dict(settle.read(lost_rows))

    async def _settle_singly(self) -> None:
        """PostgreSQL refused a value in the batch. Each outcome alone; the refused one with a text that is safe."""
        while self._outcomes:
            outcome = self._outcomes[0]
            try:
                await self._link.run(self._lifecycle.settle([outcome]))
            except psycopg.DataError:
                await self._link.run(self._lifecycle.settle([outcome._replace(note=_UNSTORABLE)]))
            self._outcomes.remove(outcome)
            self.release(outcome.id, outcome.claims)


def _nobody(_job_id: int) -> None:
    """Nobody is told."""


async def _send(conn: psycopg.AsyncConnection[Any], query: Query[Any]) -> Any:
    async with conn.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute(query.sql, query.params)
        return query.read(await cursor.fetchall())
