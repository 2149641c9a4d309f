"""Watching and telling: one process measures and judges, messages go out from a table, each channel by itself.

Whoever has the upkeep role measures. Nothing here runs in the way of jobs or of upkeep: loops, a connection and threads
of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from pgqueue.alerts import FailureRate, Level, Standing, judge
from pgqueue.channels import channels_of, deliver
from pgqueue.errors import ConfigurationError
from pgqueue.queries.alerts import AlertQueries
from pgqueue.secret import redact
from pgqueue.worker.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgqueue.alerts import Alerts, Notice, Step
    from pgqueue.channels import Channel
    from pgqueue.db import Query
    from pgqueue.outcome import Claimed, Settlement
    from pgqueue.queries.alerts import Message
    from pgqueue.settings import Settings
    from pgqueue.telemetry import Samples, Telemetry
    from pgqueue.worker.link import Link

T = TypeVar("T")
_SLACK = 30.0  # seconds; a message that is being sent is another sender's only so long after the send should be over
_FIRST, _LONGEST = 5.0, 600.0  # seconds between tries


class Tally:
    """Counts attempts by kind until they are written down: what failure rates are made of."""

    def __init__(self) -> None:
        """Nothing counted."""
        self._counts: dict[str, list[int]] = {}

    def started(self, job: Claimed) -> None:
        """Nothing: an attempt counts when it ends."""

    def settled(self, job: Claimed, settlement: Settlement, seconds: float) -> None:
        """Count an attempt that succeeded or failed."""
        del seconds
        if settlement.moment in {"complete", "retry", "crash", "bury"}:
            self._counts.setdefault(job.kind, [0, 0])[settlement.moment != "complete"] += 1

    def lease_lost(self, job: Claimed) -> None:
        """Nothing: nobody knows how it ended."""

    def crashed(self, job: Claimed) -> None:
        """Nothing: how the attempt ended is settled, and counted there."""

    def rescued(self, job_id: int, queue: str, kind: str, crashes: int) -> None:
        """Nothing: a crash is the process's."""

    def missed(self, schedule: str, ticks: int) -> None:
        """Nothing: the rule looks at what is overdue."""

    def sampled(self, samples: Samples | None) -> None:
        """Nothing."""

    def take(self) -> dict[str, tuple[int, int]]:
        """Return what was counted since the last time."""
        counts, self._counts = self._counts, {}
        return {kind: (succeeded, failed) for kind, (succeeded, failed) in counts.items()}


class Alerting:
    """The loops of one process: a judge, and a messenger for each channel."""

    def __init__(self, upkeep: Link, settings: Settings, telemetry: Telemetry, is_mine: Callable[[], bool]) -> None:
        """Open nothing. ``is_mine``: this process has the upkeep role, and so a connection for all this."""
        self._alerts = alerts = settings.alerts
        self._upkeep = upkeep
        self._link = upkeep.beside("alerts")
        self._turn = asyncio.Lock()
        self._queries = AlertQueries(settings.schema_name)
        self._tally = Tally()
        if alerts is not None and alerts.failure_rate is not None:
            telemetry.subscribers.append(self._tally)
        self._is_mine = is_mine
        self._channels = [] if alerts is None else channels_of(alerts)
        self._messengers = [
            Loop(f"alerts to {channel.name}", partial(self._deliver, _Sender(channel)), on_lost=self._renew)
            for channel in self._channels
        ]
        self.loops = [] if alerts is None else [Loop("alerts", self._judge, on_lost=self._renew), *self._messengers]

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            await self._link.close()

    async def _renew(self) -> None:
        async with self._turn:
            await self._link.renew()

    async def _run(self, query: Query[T]) -> T:
        """Send a query; one loop at a time, or two of them would open a connection each."""
        async with self._turn:
            return await self._link.run(query)

    async def _judge(self) -> float:
        """Write down what this process counted; measure and judge if that is this process's part."""
        alerts = self._given
        pause = alerts.every.total_seconds()
        if counts := self._tally.take():
            await self._upkeep.run(self._queries.count(counts))
        if not self._is_mine():
            await self.close()
            return pause
        known = await self._run(self._queries.standings(alerts.every / 2))
        steps = [step for name in alerts.rules() for step in await self._measured(name, known)]
        if steps:
            made = self._queries.write(steps, [channel.name for channel in self._channels])
            if await self._run(made):
                for messenger in self._messengers:
                    messenger.wake()
        window = alerts.failure_rate.window if alerts.failure_rate else timedelta()
        await self._run(self._queries.prune(max(window * 2, timedelta(hours=1))))
        return pause

    @property
    def _given(self) -> Alerts:
        if self._alerts is None:
            raise ConfigurationError("alerts are switched off in the settings")
        return self._alerts

    async def _measured(self, name: str, known: dict[tuple[str, str], Standing]) -> list[Step]:
        """Judge every subject of a rule: those that were measured, and those that are well again."""
        rule = self._given.rules()[name]
        level = rule if isinstance(rule, Level) else None
        least = rule.least if isinstance(rule, FailureRate) else 0
        # Names are the application's, and may be addresses: what is told of them goes far.
        found = {redact(one.subject): one for one in await self._run(self._queries.measure(name, level, least))}
        repeat = self._given.repeat.total_seconds()
        steps = []
        for subject in found.keys() | {subject for of, subject in known if of == name}:
            one = found.get(subject)
            value, text = (one.value, redact(one.text)) if one else (0.0, f"{subject} is well again")
            standing = known.get((name, subject), Standing())
            if step := judge((name, subject), rule, standing, value=value, text=text, repeat=repeat):
                steps.append(step)
        return steps

    async def _deliver(self, sender: _Sender) -> float:
        """Send one message of a channel, if there is one: the next follows at once."""
        pause = self._given.every.total_seconds()
        if not self._is_mine():
            return pause
        channel = sender.channel
        message = await self._run(self._queries.take(channel.name, timedelta(seconds=channel.seconds + _SLACK)))
        if message is None:
            return min(pause, _FIRST)
        error = await sender.send(message.notice)
        await self._run(self._ended(channel, message, error))
        return 0.0

    def _ended(self, channel: Channel, message: Message, error: str | None) -> Any:
        if error is None:
            return self._queries.end(message)
        last = message.tries >= self._given.tries
        again = None if last else timedelta(seconds=min(_FIRST * 2.0**message.tries, _LONGEST))
        log: Any = structlog.get_logger("pgqueue")
        told = {"channel": channel.name, "key": message.notice.key, "error": error, "tries": message.tries}
        if last:
            log.error("alert.undelivered", **told)
        else:
            log.warning("alert.delayed", **told)
        return self._queries.end(message, error=error, again=again)


class _Sender:
    """Calls a channel in a thread that may hang: nobody waits longer than its time, not even the process's end."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._thread: threading.Thread | None = None

    async def send(self, notice: Notice) -> str | None:
        """Send, and return what went wrong."""
        if self._thread is not None and self._thread.is_alive():
            return "the send before this one has not ended yet"
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str | None] = loop.create_future()

        def work() -> None:
            error = deliver(self.channel, notice)
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(_end, ended, error)

        self._thread = threading.Thread(target=work, name="pgqueue alert", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self.channel.seconds):
                return await ended
        except TimeoutError:
            return f"no end within {self.channel.seconds:g} s"


def _end(ended: asyncio.Future[str | None], error: str | None) -> None:
    if not ended.done():
        ended.set_result(error)
