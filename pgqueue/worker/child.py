"""One worker process of a supervisor: started, spoken to, heard."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from pgqueue.queries.supervision import Orders
from pgqueue.worker.ledger import Ledger
from pgqueue.worker.lifeline import VARIABLE, lifeline
from pgqueue.worker.line import LINE_VARIABLE, pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.worker.ledger import Limits


class Report(NamedTuple):
    """What a process said last."""

    running: dict[str, int]
    serial: int
    """The last limits that it has applied."""
    orders: Orders
    seen: float
    """When it read its orders, on this machine's monotonic clock."""
    draining: bool
    memory: int
    pace: dict[str, tuple[int, float]]
    """Jobs and their seconds since it started, by queue."""


class Child:
    """A process, and the share of each queue's ``workers`` that it was told."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], queues: Sequence[str]) -> None:
        """Start it; it serves nothing until it is told its limits."""
        self.started = time.monotonic()
        self.ledger = Ledger(queues)
        self.report: Report | None = None
        self.retiring = False
        self._line, theirs = pair()
        with theirs:
            # A group of its own: the terminal's Ctrl-C would reach it beside the signal that is passed on,
            # and count twice.
            self.process = subprocess.Popen(  # noqa: S603 - our own command line
                command,
                env={**environment, LINE_VARIABLE: str(theirs.fileno()), VARIABLE: str(lifeline())},
                process_group=0,
                pass_fds=[theirs.fileno(), lifeline()],
            )

    @property
    def is_ready(self) -> bool:
        """It has registered, and said so."""
        return self.report is not None

    @property
    def may_serve(self) -> bool:
        """It may be given something to do."""
        return not self.retiring and self.report is not None and not self.report.draining

    @property
    def jobs(self) -> int:
        """How many jobs it has ended."""
        return sum(jobs for jobs, _ in self.report.pace.values()) if self.report else 0

    def listen(self) -> None:
        """Take what it said."""
        for message in self._line.receive():
            self.report = Report(**(message | {"orders": Orders(**message["orders"])}))
        if self.report:
            self.ledger.heard(self.report.serial)

    def used(self, queue: str) -> int:
        """Return how many jobs of a queue it may be running, until it has said that it follows its limits."""
        return self.ledger.used(queue, self.report.running.get(queue, 0) if self.report else 0)

    def grant(self, limits: Limits) -> None:
        """Tell it its limits, if they are new."""
        if self.ledger.grant(limits):
            self._line.send({"limits": limits, "serial": self.ledger.serial})

    def retire(self) -> None:
        """Let it end its jobs and go."""
        if not self.retiring:
            self.retiring = True
            self._line.send({"retire": True})

    def signal(self) -> None:
        """Pass a signal on: the first drains, the second gives jobs back."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        """Return the exit code, if it has ended; what it said last has been heard by then."""
        code = self.process.poll()
        if code is not None:
            self._line.close()
        return code


def environment_of(url: str, metrics: str | None) -> dict[str, str]:
    """Return the variables of a process."""
    found = os.environ | {"PGQUEUE_DATABASE_URL": url}
    return found | {"PROMETHEUS_MULTIPROC_DIR": metrics} if metrics else found
