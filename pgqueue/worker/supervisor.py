"""`pgqueue supervise` and `work --processes N`: worker processes, what each serves, when one is replaced."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import structlog

from pgqueue.errors import ConfigurationError
from pgqueue.logs import configure
from pgqueue.worker import plan
from pgqueue.worker.balance import Held, grants, shares
from pgqueue.worker.child import Child, environment_of
from pgqueue.worker.crowd import Crowd
from pgqueue.worker.loads import Loads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from pgqueue.app import App
    from pgqueue.queries.supervision import Orders

_LOOK = 0.05  # seconds between looks at the processes


class Supervisor:
    """Runs the processes of one host for one App."""

    def __init__(
        self, app: App, url: str, queues: Sequence[str] | None, words: Sequence[str], *, until_empty: bool = False
    ) -> None:
        """Start nothing. ``words``: the command line of one process, without the program."""
        self._app = app
        self._url = url
        self._chosen = queues
        self._command = [sys.executable, "-m", "pgqueue", *words]
        self._metrics = tempfile.mkdtemp(prefix="pgqueue-metrics-")
        self._crowd = Crowd(self._start, may_end=until_empty)
        self._signals = self._passed_on = 0
        self._reload = False
        self._orders: Orders | None = None
        self._orders_seen = 0.0
        self._paces = plan.Paces()
        self._loads: Loads | None = None
        self._next_move = 0.0
        self._log: Any = None
        self._read_settings()

    def run(self, metrics_port: int | None = None) -> int:
        """Supervise until all processes have ended on request; returns the worst exit code."""
        configure(self._app.settings.log_level)
        self._log = structlog.get_logger("pgqueue")
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            signal.signal(signal.SIGHUP, self._on_hangup)
            if metrics_port is not None:
                self._serve_metrics(metrics_port)
            self._watch_loads()
            for group, count in enumerate(self._plan.first()):
                for _ in range(0 if self._signals else count):
                    self._crowd.add(group)
            while self._crowd.seats or self._crowd.leaving:
                self._tick()
                time.sleep(_LOOK)
            return self._crowd.worst
        finally:
            if self._loads:
                self._loads.stop()
            shutil.rmtree(self._metrics, ignore_errors=True)

    def _start(self) -> Child:
        return Child(self._command, environment_of(self._url, self._metrics), list(self._queues))

    def _tick(self) -> None:
        if self._passed_on < self._signals:
            self._passed_on += 1  # one at a time: two in a row would reach a process as one
            self._crowd.signal()
        self._crowd.tick()
        if self._signals:
            return
        if self._reload:
            self._reload = False
            self._read_again()
        self._hear()
        if self._orders is not None:
            self._move()
            self._tell_limits()

    # ── what is wanted ───────────────────────────────────────────────────────────────────────────────────────

    def _read_settings(self) -> None:
        """Work out which queues there are, and how processes serve them."""
        self._queues = self._app.queues(self._chosen)
        self._plan = plan.Plan(self._app.settings, self._queues)

    def _read_again(self) -> None:
        """SIGHUP: read the file again. With a fault everything stays as it is."""
        before = self._app.settings
        try:
            self._app.take(before.changed())
            self._read_settings()
        except ConfigurationError as error:
            self._app.settings = before
            self._log.error("configuration.refused", error=str(error), hint="nothing was changed")
            return
        self._log.info("configuration.reloaded", file=str(self._app.settings.file or "none"))
        self._watch_loads()
        groups = len(self._plan.groups)
        for seat in self._crowd.seats:
            seat.group = min(seat.group, groups - 1)
            seat.keep_until = 0.0  # what could not start before may start now
            self._crowd.replace(seat, "reload")
        self._next_move = 0.0

    def _watch_loads(self) -> None:
        if self._loads:
            self._loads.stop()
            self._loads = None
        supervise = self._app.settings.supervise
        if supervise.balance == "auto":
            every = max(supervise.cooldown.total_seconds() / 2, _LOOK)
            self._loads = Loads(self._url, self._app.settings, list(self._queues), every)
            self._loads.start()

    # ── what the processes say ───────────────────────────────────────────────────────────────────────────────

    def _hear(self) -> None:
        supervise = self._app.settings.supervise
        self._paces.hear({child.process.pid: child.report.pace for child in self._crowd.children() if child.report})
        for seat in self._crowd.seats:
            child = seat.child
            if child is None or child.report is None:
                continue
            report = child.report
            if report.seen > self._orders_seen:
                self._orders_seen, self._orders = report.seen, report.orders
            reason = plan.reason_to_replace(supervise, child.jobs, report, time.monotonic() - child.started)
            if reason:
                self._crowd.replace(seat, reason)

    def _move(self) -> None:
        """Bring the number of processes, and who serves what, one step nearer to what is wanted."""
        now = time.monotonic()
        if now < self._next_move or self._crowd.is_ending:
            return
        seats = self._crowd.seats
        have = [sum(seat.group == group for seat in seats) for group in range(len(self._plan.groups))]
        running: dict[str, int] = {}
        for child in self._crowd.children():
            for queue, jobs in (child.report.running if child.report else {}).items():
                running[queue] = running.get(queue, 0) + jobs
        waiting = self._loads.waiting if self._loads else {}
        want = self._plan.next(have, self._orders, plan.loads(self._plan, self._paces, waiting, running))
        if want == have:
            return
        self._next_move = now + self._plan.pause
        ups = [group for group, (old, new) in enumerate(zip(have, want, strict=True)) for _ in range(new - old)]
        downs = [group for group, (old, new) in enumerate(zip(have, want, strict=True)) for _ in range(old - new)]
        for group in downs:
            seat = next(one for one in reversed(seats) if one.group == group)
            if ups:
                seat.group = ups.pop()  # nothing starts anew: it is told other limits
            else:
                self._crowd.remove(seat)
        for group in ups:
            self._crowd.add(group)
        self._log.info("processes.moved", processes=self._plan.named(want))

    def _tell_limits(self) -> None:
        """Divide each queue's ``workers`` over the processes that serve it; never more than that runs on this host."""
        children = list(self._crowd.children())
        told = [dict(child.ledger.granted) for child in children]
        for turn, (name, settings) in enumerate(self._queues.items()):
            serving = [
                seat.child
                for seat in self._crowd.seats
                if seat.child and seat.child.may_serve and name in seat.child.ledger.granted
                if name in self._plan.groups[seat.group]
            ]
            workers = (self._orders.workers if self._orders else {}).get(name, settings.workers)
            limits: Sequence[int | None] = [None if child in serving else 0 for child in children]
            if workers is not None:
                parts = dict(zip(serving, shares(workers, len(serving), turn), strict=True)) if serving else {}
                limits = grants(
                    workers,
                    [Held(parts.get(child, 0), child.ledger.held(name), child.used(name)) for child in children],
                )
            for child, own, limit in zip(children, told, limits, strict=True):
                if name in child.ledger.granted:
                    own[name] = limit
        for child, own in zip(children, told, strict=True):
            if child.is_ready:
                child.grant(own)

    # ── signals, metrics ─────────────────────────────────────────────────────────────────────────────────────

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """To be passed on: the first drains, the second gives jobs back."""
        self._signals += 1

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True

    def _serve_metrics(self, port: int) -> None:
        from prometheus_client import CollectorRegistry, start_http_server
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._metrics)  # type: ignore[no-untyped-call]  # the library is untyped here
        start_http_server(port, registry=registry)
