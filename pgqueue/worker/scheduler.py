"""Schedules in a worker process: each works out what is due and says so; the database decides who was first.

While nothing is due this costs one short statement per poll. A tick costs one statement, however many entries have it:
it fires what was worked out before and brings what comes next.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import structlog

from pgqueue.errors import ConfigurationError
from pgqueue.queries.schedules import STALE, Recurrence
from pgqueue.worker.loop import Loop
from pgqueue.worker.ticks import planned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgqueue.app import App
    from pgqueue.queries.schedules import Coming, Told
    from pgqueue.telemetry import Telemetry
    from pgqueue.worker.link import Link
    from pgqueue.worker.ticks import Plan

_LONGEST = 30.0  # seconds between looks, whatever `poll` says: entries are added and changed at run time
_SYNC = STALE.total_seconds() / 3
_AGAIN = 0.1  # seconds until the next look when somebody else has the rows locked
_AFTER = 0.003  # seconds that a tick is aimed behind its time, so that it has come by the database's clock
_LEFT_OUT = 60.0  # seconds for which an entry that cannot be worked out is left out


class Scheduler:
    """Fires what is due; keeps the code's entries in the table."""

    def __init__(
        self, app: App, link: Link, spare: Link, telemetry: Telemetry, *, on_fired: Callable[[], None]
    ) -> None:
        """Open nothing. As long as there are no entries, looks go over the ``spare`` link."""
        self._entries = app.schedules
        self._link, self._spare = link, spare
        self._queries = Recurrence(app.settings.schema_name)
        self._poll = min(app.settings.poll.total_seconds(), _LONGEST)
        self._telemetry = telemetry
        self._on_fired = on_fired
        self._any = bool(self._entries)
        self._sync_at = 0.0
        self._plans: dict[str, Plan] = {}
        self._left_out: dict[str, float] = {}
        self._said: set[tuple[str, str]] = set()

    async def tick(self) -> float:
        """Fire what is due; returns how long to sleep."""
        if self._entries and time.monotonic() >= self._sync_at:
            await self._sync()
        sent = self._plans
        told = await self._fire(list(sent.values()))
        asked = time.monotonic()
        self._report(told, sent)
        new: list[Coming] = []
        self._plans = {}
        for row in told.coming:
            plan = sent.get(row.name)
            if plan is not None and plan.row == row and told.now < plan.until:
                self._plans[row.name] = plan
            else:
                new.append(row)
        if new:
            self._plans |= await asyncio.to_thread(self._work_out, new, told)
        self._any = told.any
        return self._delay(told, sent, asked)

    async def _sync(self) -> None:
        shadowed = await self._link.run(self._queries.sync(self._entries))
        self._sync_at = time.monotonic() + _SYNC
        for name in shadowed:
            self._say_once(
                "schedule.shadowed",
                name,
                "an entry of this name was added at run time and rules; remove it to let the code's",
            )

    async def _fire(self, plans: Sequence[Plan]) -> Told:
        """Send plans; one that the database refuses is found by halves and left out, so that it stops no other."""
        link = self._link if self._any else self._spare
        now = time.monotonic()
        self._left_out = {name: until for name, until in self._left_out.items() if until > now}
        ahead = timedelta(seconds=self._poll + 1)
        records = [plan.record() for plan in plans]
        try:
            return await link.run(self._queries.tick(records, self._left_out, ahead=ahead))
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            if not plans:
                raise
            if len(plans) == 1:
                # the primary message alone: the details hold the row, and with it the job's arguments
                self._leave_out(plans[0].row.name, error.diag.message_primary or type(error).__name__)
                return await self._fire([])
            middle = len(plans) // 2
            one, other = await self._fire(plans[:middle]), await self._fire(plans[middle:])
            return other._replace(moved=one.moved + other.moved)

    def _work_out(self, rows: Sequence[Coming], told: Told) -> dict[str, Plan]:
        plans = {}
        for row in rows:
            try:
                plans[row.name] = planned(row, told.now)
            except ConfigurationError as error:
                self._leave_out(row.name, str(error))
        return plans

    def _leave_out(self, name: str, why: str) -> None:
        self._left_out[name] = time.monotonic() + _LEFT_OUT
        self._say_once("schedule.unreadable", name, why)

    def _say_once(self, event: str, name: str, why: str) -> None:
        if (name, why) not in self._said:
            self._said.add((name, why))
            structlog.get_logger("pgqueue").warning(event, schedule=name, error=why)

    def _report(self, told: Told, sent: dict[str, Plan]) -> None:
        """Say what was missed, and wake the relay."""
        if any(one.job_id is not None for one in told.moved):
            self._on_fired()
        for name in {one.name for one in told.moved if one.missed}:
            plan = sent[name]
            self._telemetry.missed(name, plan.missed)
            structlog.get_logger("pgqueue").warning(
                "schedule.missed",
                schedule=name,
                missed=plan.missed,
                since=None if plan.first is None else plan.first.isoformat(),
                policy=plan.row.missed,
                jobs=sum(one.job_id is not None for one in told.moved if one.name == name),
            )

    def _delay(self, told: Told, sent: dict[str, Plan], asked: float) -> float:
        if not self._plans:
            return self._poll
        nearest = min(self._plans.values(), key=lambda plan: plan.at)
        wait = (nearest.at - told.now).total_seconds() + _AFTER - (time.monotonic() - asked)
        if wait > 0:
            return min(wait, self._poll)
        return _AGAIN if sent.get(nearest.row.name) is nearest else 0.0


def schedule_loop(app: App, link: Link, spare: Link, telemetry: Telemetry, *, on_fired: Callable[[], None]) -> Loop:
    """Return the loop of a worker process that fires schedules."""
    return Loop("schedules", Scheduler(app, link, spare, telemetry, on_fired=on_fired).tick, on_lost=link.renew)
